/* The emulation of warpgroups' products and of barriers in shared memory (tests/cuda_host): against plain loops, and
 * that it takes no kernel that a GPU may run wrongly. */
#define _GNU_SOURCE
#include "runtime/backend_c.h"
#include "tests/emulated.h"
#include "tests/lua_support.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

enum { rows = 128, most = 256 };

typedef struct shape {
    const char *kind;
    int keys, columns, d, tiles;
} shape;

typedef struct products {
    fg_context *context;
    void *module;
    const shape *shape;
} products;

/* As in tests/data/products.cu.t. */
typedef struct products_args {
    const uint16_t *q, *k, *v;
    float *s, *o;
    int wrong;
} products_args;

typedef void products_entry(const products_args *a, void *shared);

static void bring(const char *from, const char *to)
{
    char *path = support_path(from), *source = support_read(path, NULL);
    ck_assert_ptr_nonnull(source);
    lua_file(to, source);
    free(source);
    free(path);
}

static void open_products(products *x, const shape *s)
{
    char code[512];
    binary b;
    fg_error error;
    bring("tests/data/products.cu.t", "templates/products.cu.t");
    bring("tests/cuda_host/templates/common/ptx.cu.t", "templates/common/ptx.cu.t");
    bring("tests/cuda_host/templates/common/wgmma.cu.t", "templates/common/wgmma.cu.t");
    snprintf(code, sizeof code,
             "return require('gen.template').render('templates/products.cu.t', "
             "{ kind = '%s', keys = %d, columns = %d, d = %d, tiles = %d })",
             s->kind, s->keys, s->columns, s->d, s->tiles);
    const char *source = lua_do(code);
    x->shape = s;
    x->context = emulated_context_of("sm_90", NULL);
    ck_assert_msg(compiler_run(&b, x->context, source, strlen(source), &error) == FG_OK, "%s",
                  error.text);
    ck_assert_msg(module_load(&x->module, x->context, &b, &error) == FG_OK, "%s", error.text);
    binary_free(x->context, &b);
}

static void close_products(products *x)
{
    module_unload(x->module);
    fg_context_free(x->context);
}

/* ---- Small integers: every product and every sum is exact ---- */

static int number(int matrix, int row, int column)
{
    const uint32_t mixed = (uint32_t)(row * 977 + column * 131 + matrix * 7919) * 2654435761u;
    return (int)(mixed >> 24) % 3 - 1;
}

static uint16_t bits_of(const char *kind, int x)
{
    const uint16_t one = strcmp(kind, "f16") == 0 ? 0x3c00 : 0x3f80;
    return x == 0 ? 0 : (uint16_t)(one | (x < 0 ? 0x8000 : 0));
}

static uint16_t *matrix(const char *kind, int which, int count, int columns)
{
    uint16_t *m = aligned_alloc(64, ((size_t)(count * columns) * 2 + 63) / 64 * 64);
    for (int r = 0; r < count; r++)
        for (int c = 0; c < columns; c++) m[r * columns + c] = bits_of(kind, number(which, r, c));
    return m;
}

static void run(const products *x, float *s, float *o, int wrong)
{
    const shape *z = x->shape;
    const int keys = z->keys * z->tiles;
    uint16_t *q = matrix(z->kind, 0, rows, z->d), *k = matrix(z->kind, 1, keys, z->d);
    uint16_t *v = matrix(z->kind, 2, keys, z->columns);
    const products_args args = { q, k, v, s, o, wrong };
    void *shared = aligned_alloc(1024, 1 << 20);
    const uintptr_t entry = (uintptr_t)module_find(x->module, "multiply");
    ck_assert_ptr_nonnull((void *)entry);
    ((products_entry *)entry)(&args, shared);
    free(shared);
    free(q);
    free(k);
    free(v);
}

static int score(const shape *z, int row, int key)
{
    int sum = 0;
    for (int c = 0; c < z->d; c++) sum += number(0, row, c) * number(1, key, c);
    return sum;
}

/* O's columns are in `o`, what S should be in `right`. */
static void check_row(const shape *z, int row, const float *right, const float *o)
{
    for (int c = 0; c < z->columns; c++) {
        float want = 0;
        for (int key = 0; key < z->keys * z->tiles; key++)
            want += right[key] * (float)number(2, key, c);
        ck_assert_msg(o[c] == want, "%s: O of row %d, column %d: %g, not %g", z->kind, row, c,
                      (double)o[c], (double)want);
    }
}

static void check_shape(const shape *z)
{
    static float right[most * 8];
    products x;
    open_products(&x, z);
    const int keys = z->keys * z->tiles;
    float *s = malloc((size_t)(rows * keys) * sizeof *s);
    float *o = malloc((size_t)(rows * z->columns) * sizeof *o);
    run(&x, s, o, 0);
    for (int row = 0; row < rows; row++) {
        for (int key = 0; key < keys; key++) {
            right[key] = (float)score(z, row, key);
            ck_assert_msg(s[row * keys + key] == right[key], "%s: S of row %d, key %d: %g, not %g",
                          z->kind, row, key, (double)s[row * keys + key], (double)right[key]);
        }
        check_row(z, row, right, o + row * z->columns);
    }
    free(s);
    free(o);
    close_products(&x);
}

START_TEST(products_are_right)
{
    static const shape all[] = {
        { "f16", 64, 64, 64, 3 },    { "bf16", 48, 80, 80, 4 },   { "f16", 128, 128, 128, 2 },
        { "bf16", 16, 8, 16, 5 },    { "bf16", 32, 256, 256, 3 }, { "f16", 256, 24, 48, 1 },
        { "bf16", 176, 192, 64, 3 },
    };
    if (!emulated_serves()) return;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) check_shape(&all[k]);
}
END_TEST

/* ---- Wrong kernels ---- */

/* What the process says that runs a kernel with this mistake; it must not live on. */
static void dies(const products *x, int wrong, const char *sentence)
{
    char said[512] = "";
    int ends[2], status;
    fflush(NULL);
    ck_assert_int_eq(pipe(ends), 0);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        static float s[rows * most], o[rows * most];
        dup2(ends[1], STDERR_FILENO);
        run(x, s, o, wrong);
        _exit(0);
    }
    close(ends[1]);
    for (size_t length = 0; length < sizeof said - 1;) {
        const ssize_t got = read(ends[0], said + length, sizeof said - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
    }
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "%d: lived on", wrong);
    ck_assert_msg(strstr(said, sentence) != NULL, "%d: '%s', not '%s'", wrong, said, sentence);
}

/* In the order of tests/data/products.cu.t, from RELEASED_EARLY on. */
static const char *const sentences[] = {
    "shared memory changed while a product read it",
    "a product reads what was not shown to it",
    "a product reads what was not shown to it",
    "a thread arrives twice in a phase",
    "a warpgroup's warps do not multiply the same",
    "somebody wrote where a product went",
    "registers of P changed while a product read them",
    "a product before begin_products",
    "products are under way at the end",
    "a matrix that does not begin on a multiple of 1024",
};

START_TEST(wrong_kernels_are_found)
{
    static const shape small = { "bf16", 32, 64, 64, 4 };
    static float s[rows * 128], o[rows * 64];
    products x;
    if (!emulated_serves()) return;
    open_products(&x, &small);
    run(&x, s, o, 1);
    for (int k = 0; k < rows * 128; k++) ck_assert(isnan(s[k])); /* S was read before its time */
    for (size_t k = 0; k < sizeof sentences / sizeof *sentences; k++)
        dies(&x, 2 + (int)k, sentences[k]);
    close_products(&x);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { products_are_right, wrong_kernels_are_found, NULL };
    if (!lua_folder_make()) return 1;
    const int status = support_run("emulated_products", tests);
    lua_folder_remove();
    return status;
}
