#include "gen/core/expr_pool.h"

#include <math.h>
#include <string.h>

const char *const expr_op_names[EXPR_op_count] = {
#define EXPR_OP_NAME(name, operands) #name,
    EXPR_OPS(EXPR_OP_NAME)
#undef EXPR_OP_NAME
};

const int8_t expr_op_arity[EXPR_op_count] = {
#define EXPR_OP_ARITY(name, operands) operands,
    EXPR_OPS(EXPR_OP_ARITY)
#undef EXPR_OP_ARITY
};

expr_pool *expr_pool_new(const memory *m, bool real32)
{
    expr_pool *pool = memory_new(m, 1, sizeof *pool);
    if (!pool) return NULL;
    pool->memory = m;
    pool->real32 = real32;
    return pool;
}

void expr_pool_free(expr_pool *pool)
{
    if (!pool) return;
    for (int k = 0; k * expr_chunk < pool->count; k++)
        memory_free(pool->memory, pool->chunk[k], expr_chunk * sizeof(expr_entry));
    memory_free(pool->memory, pool->table, pool->table_size * sizeof(expr));
    memory_free(pool->memory, pool, sizeof *pool);
}

/* ---- Nodes ---- */

const expr_entry *expr_get_entry(const expr_pool *pool, expr e)
{
    static const expr_entry none;
    if (e == 0 || e > (expr)pool->count) return &none;
    return &pool->chunk[(e - 1) / expr_chunk][(e - 1) % expr_chunk];
}

const expr_node *expr_get(const expr_pool *pool, expr e)
{
    return &expr_get_entry(pool, e)->node;
}

int expr_node_count(const expr_pool *pool)
{
    return pool->count;
}

static uint64_t value_bits(const expr_node *n)
{
    uint64_t bits;
    if (n->op != EXPR_constant) return 0;
    if (n->type != EXPR_FLOAT) return (uint32_t)n->value.i;
    memcpy(&bits, &n->value.f, sizeof bits);
    return bits;
}

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t hash_node(const expr_pool *pool, const expr_node *n)
{
    uint64_t hash = mix(n->op, n->type);
    hash = mix(mix(hash, n->symbol), value_bits(n));
    for (int k = 0; k < n->arity; k++) hash = mix(hash, expr_get_entry(pool, n->operand[k])->hash);
    return hash;
}

static bool same_node(const expr_node *a, const expr_node *b)
{
    return a->op == b->op && a->type == b->type && a->symbol == b->symbol &&
           memcmp(a->operand, b->operand, sizeof a->operand) == 0 && value_bits(a) == value_bits(b);
}

/* The slot that holds the node, or the free one where it belongs. */
static expr *find_slot(const expr_pool *pool, expr *table, uint32_t size, const expr_entry *entry)
{
    uint32_t k = (uint32_t)entry->hash & (size - 1);
    while (table[k]) {
        const expr_entry *there = expr_get_entry(pool, table[k]);
        if (there->hash == entry->hash && same_node(&there->node, &entry->node)) break;
        k = (k + 1) & (size - 1);
    }
    return &table[k];
}

static bool grow_table(expr_pool *pool)
{
    uint32_t size = pool->table_size ? 2 * pool->table_size : 64;
    expr *table = memory_new(pool->memory, size, sizeof *table);
    if (!table) return false;
    for (expr e = 1; e <= (expr)pool->count; e++)
        *find_slot(pool, table, size, expr_get_entry(pool, e)) = e;
    memory_free(pool->memory, pool->table, pool->table_size * sizeof(expr));
    pool->table = table;
    pool->table_size = size;
    return true;
}

static bool make_room(expr_pool *pool)
{
    expr_entry **chunk = &pool->chunk[pool->count / expr_chunk];
    if (pool->count >= expr_max_nodes) return false;
    if (2 * (uint32_t)pool->count >= pool->table_size && !grow_table(pool)) return false;
    if (pool->count % expr_chunk == 0 && !*chunk)
        *chunk = memory_new(pool->memory, expr_chunk, sizeof **chunk);
    return *chunk != NULL;
}

static expr intern(expr_pool *pool, expr_node *node, bool opaque)
{
    if (node->op == EXPR_variable && node->symbol < 64) node->depends = UINT64_C(1) << node->symbol;
    for (int k = 0; k < node->arity; k++) {
        if (!node->operand[k]) return 0;
        node->depends |= expr_get(pool, node->operand[k])->depends;
    }
    expr_entry entry = { *node, hash_node(pool, node), opaque };
    expr *slot = pool->table_size ? find_slot(pool, pool->table, pool->table_size, &entry) : NULL;
    if (slot && *slot) return *slot;
    if (!make_room(pool)) return 0;
    expr e = (expr)++pool->count;
    pool->chunk[(e - 1) / expr_chunk][(e - 1) % expr_chunk] = entry;
    *find_slot(pool, pool->table, pool->table_size, &entry) = e;
    return e;
}

expr expr_intern(expr_pool *pool, expr_op op, expr_type type, const expr *operands, bool opaque)
{
    expr_node node = { .op = (uint8_t)op,
                       .type = (uint8_t)type,
                       .arity = (uint8_t)expr_op_arity[op] };
    memcpy(node.operand, operands, node.arity * sizeof(expr));
    return intern(pool, &node, opaque);
}

static expr constant(expr_pool *pool, expr_type type, int32_t i, double f)
{
    expr_node node = { .op = EXPR_constant, .type = (uint8_t)type };
    if (type == EXPR_FLOAT)
        node.value.f = f;
    else
        node.value.i = i;
    return intern(pool, &node, false);
}

expr expr_int(expr_pool *pool, int32_t value)
{
    return constant(pool, EXPR_INT, value, 0);
}

expr expr_bool(expr_pool *pool, bool value)
{
    return constant(pool, EXPR_BOOL, value, 0);
}

expr expr_float(expr_pool *pool, double value)
{
    if (isnan(value)) value = (double)NAN; /* one NaN, whatever its sign */
    return constant(pool, EXPR_FLOAT, 0, pool->real32 ? (double)(float)value : value);
}

expr expr_variable(expr_pool *pool, int symbol)
{
    const expr_symbol *s = expr_get_symbol(pool, symbol);
    if (!s || s->tensor) return 0;
    if (s->defined) return s->defined;
    expr_node node = { .op = EXPR_variable, .type = (uint8_t)s->type, .symbol = (uint16_t)symbol };
    return intern(pool, &node, false);
}

expr expr_read(expr_pool *pool, int symbol, const expr *indices)
{
    const expr_symbol *s = expr_get_symbol(pool, symbol);
    if (!s || !s->tensor) return 0;
    expr_node node = { .op = EXPR_read, .type = (uint8_t)s->type, .symbol = (uint16_t)symbol };
    node.arity = node.rank = (uint8_t)s->rank;
    for (int k = 0; k < s->rank; k++) {
        if (expr_get(pool, indices[k])->type != EXPR_INT) return 0;
        node.operand[k] = indices[k];
    }
    return intern(pool, &node, false);
}

/* ---- Order ---- */

static int order_values(const expr_node *a, const expr_node *b)
{
    if (a->op != EXPR_constant) return 0;
    if (a->type != EXPR_FLOAT) return (a->value.i > b->value.i) - (a->value.i < b->value.i);
    if (isnan(a->value.f) || isnan(b->value.f)) return isnan(a->value.f) - isnan(b->value.f);
    if (a->value.f != b->value.f) return a->value.f < b->value.f ? -1 : 1;
    return signbit(b->value.f) - signbit(a->value.f); /* -0, 0 */
}

static int order_nodes(const expr_node *a, const expr_node *b)
{
    if (a->op != b->op) return a->op - b->op;
    if (a->type != b->type) return a->type - b->type;
    if (a->symbol != b->symbol) return a->symbol - b->symbol;
    return order_values(a, b);
}

int expr_order(const expr_pool *pool, expr a, expr b)
{
    /* Deeper differences are ordered by hash: a comparison takes bounded time. */
    for (int level = 0; a != b && level < 16; level++) {
        const expr_node *x = expr_get(pool, a), *y = expr_get(pool, b);
        int order = order_nodes(x, y), k = 0;
        if (order) return order;
        while (k < x->arity - 1 && x->operand[k] == y->operand[k]) k++;
        a = x->operand[k];
        b = y->operand[k];
    }
    uint64_t x = expr_get_entry(pool, a)->hash, y = expr_get_entry(pool, b)->hash;
    if (x != y) return x < y ? -1 : 1;
    return (a > b) - (a < b);
}

/* ---- Symbols ---- */

static bool is_identifier(const char *name)
{
    size_t k = 0;
    for (; name[k]; k++) {
        bool letter = (name[k] >= 'a' && name[k] <= 'z') || (name[k] >= 'A' && name[k] <= 'Z') ||
                      name[k] == '_';
        if (!letter && (k == 0 || name[k] < '0' || name[k] > '9')) return false;
    }
    return k > 0 && k < sizeof((expr_symbol *)0)->name;
}

static int add_symbol(expr_pool *pool, const char *name, const expr_symbol *symbol)
{
    if (!is_identifier(name) || pool->symbols == expr_max_symbols) return -1;
    size_t length = strlen(name);
    if (expr_is_keyword(name, length) || expr_find_function(name, length)) return -1;
    if (expr_find_symbol(pool, name, length) >= 0) return -1;
    expr_symbol *s = &pool->symbol[pool->symbols];
    *s = *symbol;
    memcpy(s->name, name, length + 1);
    return pool->symbols++;
}

int expr_declare(expr_pool *pool, const char *name, expr_type type)
{
    return add_symbol(pool, name, &(expr_symbol){ .type = type });
}

int expr_define(expr_pool *pool, const char *name, expr value)
{
    expr_symbol symbol = { .type = (expr_type)expr_get(pool, value)->type, .defined = value };
    return value ? add_symbol(pool, name, &symbol) : -1;
}

int expr_declare_tensor(expr_pool *pool, const char *name, expr_type element, int rank,
                        const expr *extent)
{
    expr_symbol symbol = { .type = element, .tensor = true, .rank = rank };
    if (rank < 0 || rank > expr_max_rank) return -1;
    for (int k = 0; k < rank; k++) {
        if (expr_get(pool, extent[k])->type != EXPR_INT) return -1;
        symbol.extent[k] = extent[k];
    }
    return add_symbol(pool, name, &symbol);
}

int expr_find_symbol(const expr_pool *pool, const char *name, size_t length)
{
    for (int k = 0; k < pool->symbols; k++) {
        const char *known = pool->symbol[k].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) return k;
    }
    return -1;
}

int expr_find(const expr_pool *pool, const char *name)
{
    return expr_find_symbol(pool, name, strlen(name));
}

const expr_symbol *expr_get_symbol(const expr_pool *pool, int symbol)
{
    return symbol >= 0 && symbol < pool->symbols ? &pool->symbol[symbol] : NULL;
}

int expr_symbol_count(const expr_pool *pool)
{
    return pool->symbols;
}

/* ---- Substitution ---- */

static expr remake(expr_pool *pool, const expr_node *n, const expr *operands)
{
    return n->op == EXPR_read ? expr_read(pool, n->symbol, operands)
                              : expr_make(pool, (expr_op)n->op, operands);
}

/* map[e] = e for e = root and all below it. */
static void mark_reachable(const expr_pool *pool, expr root, expr *map)
{
    map[root] = root;
    for (expr e = root; e > 0; e--) {
        const expr_node *n = expr_get(pool, e);
        if (!map[e]) continue;
        for (int k = 0; k < n->arity; k++) map[n->operand[k]] = n->operand[k];
    }
}

expr expr_substitute(expr_pool *pool, expr root, int symbol, expr replacement)
{
    const expr_symbol *s = expr_get_symbol(pool, symbol);
    if (!root || !s || s->tensor || !replacement) return 0;
    if (s->type == EXPR_FLOAT) replacement = expr_make(pool, EXPR_tofloat, &replacement);
    if (expr_get(pool, replacement)->type != s->type) return 0;
    expr *map = memory_new(pool->memory, root + 1, sizeof *map), result = 0;
    if (!map) return 0;
    mark_reachable(pool, root, map);
    for (expr e = 1; e <= root; e++) {
        const expr_node *n = expr_get(pool, e);
        expr operands[expr_max_rank];
        if (!map[e] || !(n->depends >> symbol & 1)) continue;
        for (int k = 0; k < n->arity; k++) operands[k] = map[n->operand[k]];
        map[e] = n->op == EXPR_variable ? replacement : remake(pool, n, operands);
    }
    result = map[root];
    memory_free(pool->memory, map, (root + 1) * sizeof *map);
    return result;
}
