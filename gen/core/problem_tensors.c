/* The tensors of a run and their shapes. */
#include "gen/core/problem.h"

static void set_shape(problem_tensor_info *info, int rank, const int64_t *shape)
{
    info->rank = rank;
    for (int k = 0; k < rank; k++) info->shape[k] = shape[k];
}

/* q, k, v, o: heads of vectors for each position; packed: all sequences' positions in one row. */
static void set_heads(const problem *p, problem_tensor_info *info, int64_t length, int64_t heads,
                      int64_t width)
{
    info->compact = true;
    if (p->lens == LENS_packed)
        set_shape(info, 3, (int64_t[]){ problem_dynamic, heads, width });
    else if (p->layout == LAYOUT_bshd)
        set_shape(info, 4, (int64_t[]){ p->b, length, heads, width });
    else
        set_shape(info, 4, (int64_t[]){ p->b, heads, length, width });
}

static void set_keys(const problem *p, problem_tensor_info *info, int64_t width)
{
    info->type = p->kvdtype;
    info->compact = true;
    if (p->page)
        set_shape(info, 4, (int64_t[]){ problem_dynamic, p->page, p->hkv, width });
    else
        set_heads(p, info, p->sk, p->hkv, width);
}

static void set_scores(const problem *p, problem_tensor_info *info,
                       const problem_broadcast *broadcast)
{
    const int64_t full[] = { p->b, p->hq, p->sq, p->sk };
    info->type = broadcast->type;
    info->rank = 4;
    for (int k = 0; k < 4; k++) info->shape[k] = broadcast->full[k] ? full[k] : 1;
}

/* ---- One function for each of FG_TENSORS: false where the problem does not ask for it ---- */

static bool describe_q(const problem *p, problem_tensor_info *info)
{
    info->type = p->dtype;
    set_heads(p, info, p->sq, p->hq, p->d);
    return true;
}

static bool describe_k(const problem *p, problem_tensor_info *info)
{
    set_keys(p, info, p->d);
    return true;
}

static bool describe_v(const problem *p, problem_tensor_info *info)
{
    set_keys(p, info, p->dv);
    return true;
}

static bool describe_o(const problem *p, problem_tensor_info *info)
{
    info->type = p->odtype;
    info->output = p->dir == DIR_fwd;
    set_heads(p, info, p->sq, p->hq, p->dv);
    return true;
}

static bool describe_lse(const problem *p, problem_tensor_info *info)
{
    info->type = p->dtype == DTYPE_f64 ? DTYPE_f64 : DTYPE_f32;
    info->output = p->dir == DIR_fwd;
    if (p->lens == LENS_packed)
        set_shape(info, 2, (int64_t[]){ p->hq, problem_dynamic });
    else
        set_shape(info, 3, (int64_t[]){ p->b, p->hq, p->sq });
    return p->lse;
}

static bool describe_bias(const problem *p, problem_tensor_info *info)
{
    set_scores(p, info, &p->bias);
    return p->bias.present;
}

static bool describe_mask(const problem *p, problem_tensor_info *info)
{
    set_scores(p, info, &p->mask);
    return p->mask.present;
}

static bool describe_slopes(const problem *p, problem_tensor_info *info)
{
    info->type = DTYPE_f32;
    set_shape(info, 1, &p->hq);
    return p->alibi;
}

static bool describe_sinks(const problem *p, problem_tensor_info *info)
{
    info->type = DTYPE_f32;
    set_shape(info, 1, &p->hq);
    return p->sinks;
}

static void set_lengths(problem_tensor_info *info, int64_t count)
{
    info->type = DTYPE_i32;
    info->compact = true;
    set_shape(info, 1, &count);
}

static bool describe_q_lens(const problem *p, problem_tensor_info *info)
{
    set_lengths(info, p->b);
    return p->lens == LENS_padded;
}

static bool describe_k_lens(const problem *p, problem_tensor_info *info)
{
    return describe_q_lens(p, info);
}

static bool describe_cu_q(const problem *p, problem_tensor_info *info)
{
    set_lengths(info, p->b == problem_dynamic ? problem_dynamic : p->b + 1);
    return p->lens == LENS_packed;
}

static bool describe_cu_k(const problem *p, problem_tensor_info *info)
{
    return describe_cu_q(p, info);
}

static bool describe_block_table(const problem *p, problem_tensor_info *info)
{
    info->type = DTYPE_i32;
    info->compact = true;
    set_shape(info, 2, (int64_t[]){ p->b, problem_dynamic });
    return p->page != 0;
}

/* Seed and offset, low words first. */
static bool describe_rng(const problem *p, problem_tensor_info *info)
{
    set_lengths(info, 4);
    info->optional = true;
    return p->dropout.present;
}

static const struct {
    const char *name;
    bool (*describe)(const problem *p, problem_tensor_info *info);
} run_tensors[] = {
#define RUN_TENSOR(name) { #name, describe_##name },
    FG_TENSORS(RUN_TENSOR)
#undef RUN_TENSOR
};

bool problem_tensor_at(const problem *p, size_t index, problem_tensor_info *info)
{
    for (size_t k = 0; k < sizeof run_tensors / sizeof *run_tensors; k++) {
        *info = (problem_tensor_info){ .name = run_tensors[k].name };
        if (run_tensors[k].describe(p, info) && index-- == 0) return true;
    }
    if (index >= (size_t)p->tensors) return false;
    const problem_tensor *t = &p->tensor[index];
    *info = (problem_tensor_info){ .name = t->name, .type = t->type };
    set_shape(info, t->rank, t->extent);
    return true;
}
