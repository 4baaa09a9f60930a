/* The arithmetic that kernels share (templates/common), compiled as kernels are, with entries over arrays:
 * tests/data/arithmetic.c.t. */
#ifndef TESTS_ARITHMETIC_H
#define TESTS_ARITHMETIC_H

#include "runtime/backend_c.h"
#include "tests/lua_support.h"
#include "tests/support_trial.h"

typedef struct arithmetic {
    fg_context *context;
    void *module;
    bool wide;        /* real is double */
    int lanes, raise; /* exp_fall_vr and exp2_fall_vr give 2^raise times as much */
    char what[80];
} arithmetic;

/* From arrays of n reals or ints, a multiple of the lanes; elements of tensors, any number. */
typedef void arithmetic_apply(const void *a, const void *b, void *to, int64_t n);
typedef void arithmetic_move(const void *from, void *to, int64_t n);

static uintptr_t arithmetic_find(const arithmetic *part, const char *kind, const char *name)
{
    char entry[64];
    snprintf(entry, sizeof entry, "%s_%s", kind, name);
    uintptr_t result = (uintptr_t)module_find(part->module, entry);
    ck_assert_msg(result != 0, "%s: there is no %s", part->what, entry);
    return result;
}

__attribute__((unused)) static arithmetic_apply *arithmetic_applies(const arithmetic *part,
                                                                    const char *name)
{
    return (arithmetic_apply *)arithmetic_find(part, "apply", name);
}

__attribute__((unused)) static arithmetic_move *arithmetic_moves(const arithmetic *part,
                                                                 const char *name)
{
    return (arithmetic_move *)arithmetic_find(part, "move", name);
}

/* Vectors hold 1 / `narrower` of what the instruction set could. */
static void arithmetic_load(arithmetic *part, const char *isa, int narrower)
{
    char code[512];
    binary b;
    fg_error error;
    snprintf(code, sizeof code,
             "local targets = require('templates.target.c')\n"
             "local target = targets.new('%s', '%s')\n"
             "target = targets.narrowed(target, target.lanes // %d)\n"
             "return require('gen.template').render('templates/arithmetic.c.t', { target = target, "
             "raise = %d })",
             isa, part->wide ? "f64" : "f32", narrower, part->raise);
    const char *source = lua_do(code);
    fg_status s = compiler_run(&b, part->context, source, strlen(source), &error);
    ck_assert_msg(s == FG_OK, "%s: %s\n%s", part->what, error.text, source);
    s = module_load(&part->module, part->context, &b, &error);
    ck_assert_msg(s == FG_OK, "%s: %s", part->what, error.text);
    binary_free(part->context, &b);
}

static void arithmetic_open_folder(void)
{
    char *path = support_path("tests/data/arithmetic.c.t"), *source = support_read(path, NULL);
    ck_assert_ptr_nonnull(source);
    lua_file("templates/arithmetic.c.t", source);
    free(source);
    free(path);
}

/* Runs body(part) for each instruction set of this processor, for scores in f32 and in f64, with whole vectors
 * and, raised, with halves. The processes of the program share them. */
__attribute__((unused)) static void arithmetic_each(void (*body)(const arithmetic *part))
{
    int shard, shards, turn = 0;
    support_shard(&shard, &shards);
    arithmetic_open_folder();
    for (int isa = 0; isa < isa_count - 1; isa++) { /* what avx512bf16 adds is no part of this */
        arithmetic part = { .context = test_context(isa, 1) };
        for (int kind = 0; kind < 4 && part.context; kind++) {
            const int narrower = 1 + kind / 2;
            part.wide = kind % 2 == 1;
            part.lanes = isa_lanes[isa] / (part.wide ? 2 : 1) / narrower;
            part.raise = narrower == 1 ? 0 : part.wide ? 52 : 23;
            snprintf(part.what, sizeof part.what, "%s, %d lanes of %s", isa_names[isa], part.lanes,
                     part.wide ? "f64" : "f32");
            if (part.lanes < 2 || turn++ % shards != shard) continue;
            arithmetic_load(&part, isa_names[isa], narrower);
            body(&part);
            module_unload(part.module);
        }
        fg_context_free(part.context);
    }
}

#endif
