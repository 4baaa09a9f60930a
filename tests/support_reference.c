#include "tests/support_reference.h"

#include "tests/support.h" /* last: Check has a macro named fail */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static dtype type_of(DLDataType type)
{
    for (int k = 0; k < dtype_count; k++)
        if (dtypes[k].code == type.code && dtypes[k].bits == type.bits) return (dtype)k;
    ck_abort_msg("no such type");
    return DTYPE_f32;
}

static const DLTensor **field_of(fg_args *args, const char *name)
{
#define FIELD(field)                                                                               \
    if (strcmp(name, #field) == 0) return &args->field;
    FG_TENSORS(FIELD)
#undef FIELD
    return NULL;
}

static int64_t extent_of(const operand *o, int dim, const fixture_sizes *z)
{
    const int64_t run[operand_dims] = {
        [DIM_b] = z->b,
        [DIM_sq] = z->sq,
        [DIM_sk] = z->sk,
        [DIM_total_q] = z->total_q,
        [DIM_total_k] = z->total_k,
    };
    if (o->shape[dim] != problem_dynamic) return o->shape[dim];
    if (o->dim[dim] != DIM_any) return run[o->dim[dim]];
    if (strncmp(o->name, "cu_", 3) == 0) return z->b + 1;
    return strcmp(o->name, "block_table") == 0 ? z->blocks : z->pages;
}

static void add_tensor(fixture *f, int k, const operand *o, const fixture_sizes *sizes)
{
    fg_tensor_info *info = &f->info[k];
    for (int n = 0; n < info->ndim; n++) info->shape[n] = extent_of(o, n, sizes);
    f->type[k] = type_of(info->dtype);
    f->elements[k] = 1;
    for (int n = 0; n < info->ndim; n++) f->elements[k] *= info->shape[n];
    f->tensor[k] = (DLTensor){
        .device = { 1, 0 }, .ndim = info->ndim, .dtype = info->dtype, .shape = info->shape
    };
    f->tensor[k].data = calloc((size_t)f->elements[k] + 1, 8);
    const DLTensor **field = field_of(&f->args, info->name);
    if (o->optional) return; /* until a test gives it */
    if (field)
        *field = &f->tensor[k];
    else
        f->extra[f->args.tensor_count++] = &f->tensor[k];
}

void fixture_new(fixture *f, const char *line)
{
    fixture_new_sized(f, line, &(fixture_sizes){ 0 });
}

void fixture_new_sized(fixture *f, const char *given, const fixture_sizes *sizes)
{
    fg_error error;
    operand_list operands;
    char line[400];
    snprintf(line, sizeof line, "%s align=1", given);
    *f = (fixture){ .args = FG_ARGS_INIT };
    f->args.tensors = f->extra;
    ck_assert_int_eq(fg_context_new(&f->context, NULL, &error), FG_OK);
    fg_status s = fg_problem_parse(&f->problem, f->context, line, &error);
    ck_assert_msg(s == FG_OK, "%s: %s", line, error.text);
    operands_make(&operands, f->problem->problem);
    ck_assert_int_le(operands.count, fixture_tensors);
    for (; f->count < operands.count; f->count++) {
        ck_assert_int_eq(fg_problem_tensor(f->problem, (size_t)f->count, &f->info[f->count]),
                         FG_OK);
        add_tensor(f, f->count, &operands.operand[f->count], sizes);
    }
    f->args.seeded = f->problem->problem->dropout.present;
    f->args.seed = UINT64_C(0x0123456789abcdef);
    f->args.offset = UINT64_C(0xfedcba9876543210);
}

void fixture_seed_by_tensor(fixture *f)
{
    const uint32_t words[] = { (uint32_t)f->args.seed, (uint32_t)(f->args.seed >> 32),
                               (uint32_t)f->args.offset, (uint32_t)(f->args.offset >> 32) };
    int k = fixture_find(f, "rng");
    memcpy(f->tensor[k].data, words, sizeof words);
    f->args.rng = &f->tensor[k];
    f->args.seeded = 0;
    f->args.seed = f->args.offset = 0;
}

void fixture_free(fixture *f)
{
    for (int k = 0; k < f->count; k++) free(f->tensor[k].data);
    free(f->o);
    free(f->lse);
    free(f->o_rest);
    free(f->lse_rest);
    free(f->row);
    reference_free(&f->r);
    fg_problem_free(f->problem);
    fg_context_free(f->context);
}

int fixture_find(const fixture *f, const char *name)
{
    for (int k = 0; k < f->count; k++)
        if (strcmp(f->info[k].name, name) == 0) return k;
    ck_abort_msg("no tensor %s", name);
    return 0;
}

void fixture_set(fixture *f, const char *name, int64_t index, double value)
{
    int k = fixture_find(f, name);
    ck_assert_int_lt(index, f->elements[k]);
    dtype_store(f->type[k], (char *)f->tensor[k].data + index * (dtypes[f->type[k]].bits / 8),
                value);
}

double fixture_get(const fixture *f, const char *name, int64_t index)
{
    int k = fixture_find(f, name);
    ck_assert_int_lt(index, f->elements[k]);
    return dtype_load(f->type[k],
                      (char *)f->tensor[k].data + index * (dtypes[f->type[k]].bits / 8));
}

void fixture_fill(fixture *f, const char *name, double value)
{
    for (int64_t n = 0; n < f->elements[fixture_find(f, name)]; n++) fixture_set(f, name, n, value);
}

double fixture_noise(const char *name, int64_t n)
{
    uint64_t x = (uint64_t)n * 2654435761u + (uint64_t)name[0] * 40503u + (uint64_t)name[1];
    x = (x ^ (x >> 15)) * UINT64_C(0x9e3779b97f4a7c15);
    return (double)((x ^ (x >> 31)) >> 40) * 0x1p-22 - 2;
}

static void fixture_set_noise(fixture *f, const char *name)
{
    for (int64_t n = 0; n < f->elements[fixture_find(f, name)]; n++)
        fixture_set(f, name, n, fixture_noise(name, n));
}

void fixture_draw(fixture *f)
{
    for (int k = 0; k < f->count; k++)
        if (!f->info[k].output) fixture_set_noise(f, f->info[k].name);
}

static void compute_row(fixture *f, reference_group *g, size_t n)
{
    const reference *r = &f->r;
    size_t dv = (size_t)r->dv;
    g->b = (int64_t)n / r->sq / r->hq;
    g->h = (int64_t)n / r->sq % r->hq;
    g->row[0].i = (int64_t)n % r->sq;
    g->count = 1;
    if (fixture_o_row(f, g->b, g->h, g->row[0].i) < 0) return;
    reference_group_compute(g);
    f->row[n] = g->row[0];
    f->lse[n] = g->row[0].lse;
    f->lse_rest[n] = g->row[0].lse_rest;
    memcpy(f->o + n * dv, g->o, dv * sizeof *f->o);
    if (r->wide) memcpy(f->o_rest + n * dv, g->o_rest, dv * sizeof *f->o);
}

void fixture_compute(fixture *f)
{
    fg_error error;
    reference *r = &f->r;
    reference_group g;
    fg_status s = reference_new(r, f->context, f->problem->problem, &f->args, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    ck_assert_int_eq(reference_group_new(&g, r, &error), FG_OK);
    size_t rows = (size_t)(r->b * r->hq * r->sq), columns = rows * (size_t)r->dv;
    f->o = calloc(columns + 1, sizeof *f->o);
    f->o_rest = calloc(columns + 1, sizeof *f->o);
    f->lse = calloc(rows + 1, sizeof *f->lse);
    f->lse_rest = calloc(rows + 1, sizeof *f->lse);
    f->row = calloc(rows + 1, sizeof *f->row);
    for (size_t n = 0; n < rows; n++) compute_row(f, &g, n);
    reference_group_free(&g);
}

int64_t fixture_o_row(const fixture *f, int64_t b, int64_t h, int64_t i)
{
    const reference *r = &f->r;
    if (r->problem->lens == LENS_packed) {
        int64_t at = (int64_t)fixture_get(f, "cu_q", b) + i;
        return at < (int64_t)fixture_get(f, "cu_q", b + 1) ? at * r->hq + h : -1;
    }
    if (r->problem->layout == LAYOUT_bhsd) return (b * r->hq + h) * r->sq + i;
    return (b * r->sq + i) * r->hq + h;
}

int64_t fixture_lse_row(const fixture *f, int64_t b, int64_t h, int64_t i)
{
    const reference *r = &f->r;
    if (r->problem->lens != LENS_packed) return (b * r->hq + h) * r->sq + i;
    int64_t row = fixture_o_row(f, b, h, i);
    return row < 0 ? -1 : h * (int64_t)fixture_get(f, "cu_q", r->b) + row / r->hq;
}

void fixture_store(fixture *f)
{
    const reference *r = &f->r;
    for (int64_t n = 0; n < r->b * r->hq * r->sq; n++) {
        int64_t b = n / r->sq / r->hq, h = n / r->sq % r->hq, i = n % r->sq;
        int64_t row = fixture_o_row(f, b, h, i);
        if (row < 0) continue;
        for (int64_t c = 0; c < r->dv; c++)
            fixture_set(f, "o", row * r->dv + c, f->o[n * r->dv + c]);
        if (r->problem->lse) fixture_set(f, "lse", fixture_lse_row(f, b, h, i), f->lse[n]);
    }
}

fg_status fixture_check(fixture *f, fg_check_options options, fg_check_report *report)
{
    fg_error error = { FG_OK, -1, "" };
    fg_status s = fg_check(f->context, f->problem, &f->args, &options, report, &error);
    ck_assert_msg(s == FG_OK || s == FG_WRONG, "%s", error.text);
    if (s == FG_WRONG) ck_assert(error.text[0] != 0);
    return s;
}

void assert_close(double got, double want)
{
    ck_assert_msg(fabs(got - want) <= 1e-12 * (1 + fabs(want)) || got == want, "%.17g is not %.17g",
                  got, want);
}

void assert_empty(const fixture *f, int64_t row)
{
    ck_assert(f->lse[row] == -HUGE_VAL);
    for (int64_t c = 0; c < f->r.dv; c++) ck_assert(f->o[row * f->r.dv + c] == 0);
}
