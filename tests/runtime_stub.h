/* A maker whose kernels a test writes, and tensors to run them on. */
#ifndef TESTS_RUNTIME_STUB_H
#define TESTS_RUNTIME_STUB_H

#include "runtime/folder.h"
#include "runtime/plan.h"
#include "tests/failing.h"
#include "tests/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The maker ---- */

enum { stub_max_text = 4096 };

static char stub_text[stub_max_text]; /* the kernel's; a %d in it becomes stub_number */
static _Thread_local int stub_number;
static made_slot stub_slot[made_max_slots];
static int stub_slots;
static const char *stub_tasks = "1", *stub_scratch = "0";
static made_region stub_region[made_max_regions];
static int stub_regions;
static int stub_threads;        /* of a block: the steps are for a GPU */
static bool stub_prepares;      /* a step of its own, fg_prepare, comes first */
static const char *stub_clears; /* a region that is cleared before all */
static atomic_int stub_made;    /* kernels so far */

static char *stub_copy(const memory *m, const char *from)
{
    return memory_text(m, from, strlen(from));
}

/* A launch, or two of the same tasks, and perhaps a clear before. */
static fg_status stub_steps(made *m, fg_error *error)
{
    fg_status status = FG_OK;
    if (stub_clears) snprintf(m->step[m->steps++].clear, sizeof m->step->clear, "%s", stub_clears);
    if (stub_prepares)
        m->step[m->steps++] =
            (made_step){ .entry = "fg_prepare", .prepares = true, .threads = stub_threads };
    m->step[m->steps++] = (made_step){ .entry = "fg_kernel", .threads = stub_threads };
    for (int s = 0; s < m->steps && status == FG_OK; s++) {
        status = recipe_parse(&m->step[s].tasks, stub_tasks, error);
        if (status == FG_OK) status = recipe_parse(&m->step[s].scratch, stub_scratch, error);
    }
    return status;
}

static fg_status stub_make(made **out, const maker_request *r, fg_error *error)
{
    char source[stub_max_text];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(source, sizeof source, stub_text, stub_number);
#pragma GCC diagnostic pop
    made *m = memory_new(r->memory, 1, sizeof *m);
    if (!m) return fail_memory(error);
    *m = (made){ .memory = r->memory,
                 .slots = stub_slots,
                 .regions = stub_regions,
                 .text_length = strlen(source) };
    memcpy(m->slot, stub_slot, sizeof stub_slot);
    memcpy(m->region, stub_region, sizeof stub_region);
    fg_status status = stub_steps(m, error);
    m->schedule = stub_copy(r->memory, "stub");
    m->config = stub_copy(r->memory, r->config ? r->config : "none=1");
    m->text = stub_copy(r->memory, source);
    if (status == FG_OK && (!m->schedule || !m->config || !m->text)) status = fail_memory(error);
    atomic_fetch_add(&stub_made, 1);
    *out = status == FG_OK ? m : NULL;
    if (status != FG_OK) made_free(m);
    return status;
}

static const char *stub_generator = "one"; /* what wrote the kernel, to keys */

static fg_status stub_hash(char out[65], const memory *m, const char *templates, fg_error *error)
{
    (void)m;
    (void)templates;
    (void)error;
    snprintf(out, 65, "%s", stub_generator);
    return FG_OK;
}

/* The same for all sizes. */
static fg_status stub_choices(maker_choices **out, const maker_request *r, const maker_grid *g,
                              int most, fg_error *error)
{
    const memory *m = r->memory;
    maker_choices *c = memory_new(m, 1, sizeof *c);
    (void)most;
    *out = NULL;
    if (!c) return fail_memory(error);
    *c = (maker_choices){ .memory = m, .count = 1, .sizes = g->bs * g->sqs * g->sks };
    c->choice = memory_new(m, 1, sizeof *c->choice);
    c->of = memory_new(m, (size_t)c->sizes, sizeof *c->of);
    if (c->choice) c->choice->schedule = stub_copy(m, "stub");
    if (c->choice) c->choice->config = stub_copy(m, r->config ? r->config : "none=1");
    if (c->of && c->choice && c->choice->schedule && c->choice->config)
        *out = c;
    else
        maker_choices_free(c);
    return *out ? FG_OK : fail_memory(error);
}

static const maker stub_maker = { .make = stub_make, .choices = stub_choices, .hash = stub_hash };

static inline void stub_add_slot(made_slot_kind kind, const char *name, int dim)
{
    made_slot *s = &stub_slot[stub_slots++];
    *s = (made_slot){ .kind = kind, .dim = dim };
    snprintf(s->name, sizeof s->name, "%s", name);
    fg_error error;
    if (kind == SLOT_recipe) ck_assert_int_eq(recipe_parse(&s->recipe, name, &error), FG_OK);
}

static inline void stub_add_region(const char *name, const char *bytes, bool prepared)
{
    made_region *r = &stub_region[stub_regions++];
    fg_error error;
    *r = (made_region){ .prepared = prepared };
    snprintf(r->name, sizeof r->name, "%s", name);
    ck_assert_int_eq(recipe_parse(&r->bytes, bytes, &error), FG_OK);
}

/* A kernel without arguments but o, which writes stub_number to o[0]. */
static inline void stub_is_number(void)
{
    snprintf(
        stub_text, sizeof stub_text, "%s",
        "struct args { double *o; };\n"
        "void fg_kernel(const struct args *a, void *scratch, long long first, long long last)\n"
        "{\n    a->o[0] = %d;\n}\n");
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
}

/* A kernel that writes its arguments, as they are, to o: first o itself, then those added. */
static inline void stub_is_probe(int arguments)
{
    snprintf(stub_text, sizeof stub_text,
             "void fg_kernel(const long long *a, void *scratch, long long first, long long last)\n"
             "{\n    for (int k = 0; k < %d; k++) ((long long *)a[0])[k] = a[k];\n}\n",
             arguments);
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
}

/* ---- Contexts ---- */

static inline fg_context_options stub_options(void)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    o.compiler = FLASHGEN_KERNEL_COMPILER;
    o.compiler_flags = FLASHGEN_KERNEL_FLAGS;
    o.store = "";
    return o;
}

static inline fg_context *stub_context(const fg_context_options *given)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_error error;
    fg_status status = fg_context_new(&context, given ? given : &o, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    context->maker = &stub_maker;
    return context;
}

static inline fg_problem *stub_problem(fg_context *context, const char *line)
{
    fg_problem *p = NULL;
    fg_error error;
    fg_status status = fg_problem_parse(&p, context, line, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return p;
}

static inline fg_plan *stub_plan(fg_context *context, const fg_problem *p)
{
    fg_plan *plan = NULL;
    fg_error error;
    fg_status status = fg_plan_new(&plan, context, p, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return plan;
}

/* ---- Tensors ---- */

/* One for each that a problem asks for, compact, zeroed, aligned to 64 bytes. */
typedef struct stub_run {
    DLTensor tensor[operand_max];
    int64_t shape[operand_max][4], stride[operand_max][4];
    const DLTensor *extra[problem_max_tensors];
    void *block[operand_max];
    int count;
    fg_args args;
} stub_run;

static inline const DLTensor **stub_field(fg_args *args, const char *name)
{
#define STUB_FIELD(field)                                                                          \
    if (strcmp(name, #field) == 0) return &args->field;
    FG_TENSORS(STUB_FIELD)
#undef STUB_FIELD
    return NULL;
}

/* `dynamic`: what stands for a `*` dimension. */
static inline void stub_run_new(stub_run *r, const fg_problem *p, int64_t dynamic)
{
    fg_tensor_info info;
    *r = (stub_run){ .args = FG_ARGS_INIT };
    r->args.tensors = r->extra;
    for (; fg_problem_tensor(p, (size_t)r->count, &info) == FG_OK; r->count++) {
        int k = r->count;
        size_t bytes = info.dtype.bits / 8;
        for (int n = info.ndim - 1; n >= 0; n--) {
            int64_t extent = info.shape[n] < 0 ? dynamic : info.shape[n];
            r->shape[k][n] = extent;
            r->stride[k][n] = (int64_t)bytes / (info.dtype.bits / 8);
            bytes *= (size_t)extent;
        }
        ck_assert_int_eq(posix_memalign(&r->block[k], 64, bytes + 64), 0);
        memset(r->block[k], 0, bytes + 64);
        r->tensor[k] = (DLTensor){ r->block[k], { 1, 0 },     info.ndim, info.dtype,
                                   r->shape[k], r->stride[k], 0 };
        const DLTensor **field = stub_field(&r->args, info.name);
        if (!field) field = (const DLTensor **)&r->extra[r->args.tensor_count++];
        *field = &r->tensor[k];
    }
}

static inline void stub_run_free(stub_run *r)
{
    for (int k = 0; k < r->count; k++) free(r->block[k]);
}

/* ---- Counted tasks ---- */

/* Each task adds 1 to its own element of o, and marks its worker's scratch while it runs. */
static inline void stub_counts_tasks(const char *tasks)
{
    strcpy(stub_text, "struct args { double *o; };\n"
                      "void fg_kernel(const struct args *a, volatile int *scratch, long long "
                      "first, long long last)\n"
                      "{\n    if (__atomic_exchange_n(scratch, 1, 5) == 1) a->o[255] += 1;\n"
                      "    for (long long t = first; t < last; t++) a->o[t] += 1;\n"
                      "    __atomic_store_n(scratch, 0 * %d, 5);\n}\n");
    stub_slots = 0;
    stub_add_slot(SLOT_pointer, "o", 0);
    stub_tasks = tasks;
    stub_scratch = "64";
}

typedef struct counted {
    fg_context *context;
    fg_problem *problem;
    fg_plan *plan;
    stub_run run;
} counted;

static inline void counted_new(counted *c, const fg_context_options *o)
{
    size_t bytes;
    c->context = stub_context(o);
    c->problem = stub_problem(c->context, "dtype=f64 b=1 hq=1 sq=64 d=4");
    c->plan = stub_plan(c->context, c->problem);
    stub_run_new(&c->run, c->problem, 0);
    ck_assert_int_eq(fg_plan_workspace(c->plan, NULL, &bytes, NULL), FG_OK);
    c->run.args.workspace = aligned_alloc(64, bytes);
    memset(c->run.args.workspace, 0, bytes);
    c->run.args.workspace_bytes = bytes;
}

static inline void counted_free(counted *c)
{
    free(c->run.args.workspace);
    stub_run_free(&c->run);
    fg_plan_free(c->plan);
    fg_problem_free(c->problem);
    fg_context_free(c->context);
}

/* Every task ran `times` times so far, no two of one worker at once. */
static inline bool counts(const counted *c, int tasks, int times)
{
    const double *o = c->run.args.o->data;
    for (int t = 0; t < 256; t++)
        if (o[t] != (t < tasks ? times : 0)) return false;
    return true;
}

/* ---- A temporary folder ---- */

static char folder[64];

static inline void remove_folder(void)
{
    folder_remove(&memory_default, strdup(folder));
}

/* A folder of this test, for what it makes and for what the library makes. */
static inline void in_folder(void)
{
    atexit(remove_folder);
    strcpy(folder, "/tmp/flashgen-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
}

static inline int entries(const char *path)
{
    int count = 0;
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return count;
}

/* ---- A compiler that does nothing ---- */

static char stub_compiler[96]; /* its path */

/* In the test's folder: whatever it is given, it gives the kernel that stub_text is now. */
static inline void stub_compiler_make(void)
{
    char path[96];
    image i;
    fg_error error;
    fg_context *context = stub_context(NULL);
    fg_problem *p = stub_problem(context, "dtype=f64 b=1 hq=1 sq=64 d=4");
    ck_assert_int_eq(image_make(&i, context, p->problem, NULL, NULL, &error), FG_OK);
    snprintf(path, sizeof path, "%s/kernel.so", folder);
    ck_assert_int_eq(file_write(path, i.compiled.data, i.compiled.size, &error), FG_OK);
    image_free(&i);
    fg_problem_free(p);
    fg_context_free(context);
    snprintf(stub_compiler, sizeof stub_compiler, "%s/cc", folder);
    FILE *f = fopen(stub_compiler, "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "#!/bin/sh\ncase \" $* \" in *' -o '*) exec cp '%s' kernel.so ;; esac\nexit 1\n",
            path);
    fclose(f);
    ck_assert_int_eq(chmod(stub_compiler, 0755), 0);
}

#endif
