/* Portable kernels on aarch64: launches go to qemu in place of this processor, all else is as in any run. */
/* ctest: labels=slow */
#define _GNU_SOURCE
#include "runtime/backend.h"
#include "runtime/plan.h"
#include "tests/support.h"
#include "tests/support_trial.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define COMPILER "aarch64-linux-gnu-gcc"

static char folder[] = "/tmp/flashgen_aarch64_XXXXXX";

/* Runs a command of a shell in the folder; whether it went well. */
static bool shell(const char *command)
{
    char line[4200];
    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    return system(line) == 0;
}

static FILE *open_file(const char *name, const char *mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, mode);
    ck_assert_msg(f != NULL, "%s", path);
    return f;
}

/* ---- The other processor ---- */

static trial *running;
static const kernel *running_kernel;

/* Flags of kernels, for a program. */
static void program_flags(char out[1024])
{
    char flags[1024];
    *out = 0;
    snprintf(flags, sizeof flags, "%s", running->context->compiler_flags);
    for (char *word, *rest = flags; (word = strsep(&rest, " "));)
        if (strcmp(word, "-shared") != 0 && strcmp(word, "-nostdlib") != 0)
            strcat(strcat(out, " "), word);
}

/* Links the kernel with what calls its function `entry`. */
static void build(const char *entry)
{
    char flags[1024], command[4096], *source;
    fg_error error;
    fg_emit_options options = FG_EMIT_OPTIONS_INIT;
    options.config = trial_config(running);
    fg_status s = fg_emit(&source, running->context, running->handle, &options, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    FILE *f = open_file("kernel.c", "w");
    fputs(source, f);
    ck_assert_int_eq(fclose(f), 0);
    fg_text_free(running->context, source);
    program_flags(flags);
    snprintf(command, sizeof command,
             COMPILER "%s -static -DENTRY=%s -o program kernel.c '%s/tests/data/aarch64_runner.c'",
             flags, entry, FLASHGEN_SOURCE_DIR);
    trial_assert(running, shell(command), command);
}

/* What a launch may read and write: the tensors and the workspace. */
typedef struct reach {
    int count;
    struct iovec part[test_tensors_max + 1];
} reach;

static reach list_memory(void)
{
    reach r = { 0 };
    const fg_args *args = &running->t.args;
    for (int k = 0; k < running->t.count; k++) {
        const test_tensor *t = &running->t.tensor[k];
        r.part[r.count++] = (struct iovec){ t->block, t->bytes };
    }
    if (args->workspace_bytes)
        r.part[r.count++] = (struct iovec){ args->workspace, args->workspace_bytes };
    return r;
}

static void put(FILE *f, const void *bytes, size_t size)
{
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
}

/* Gives where the memory starts in the file. */
static long write_memory(const reach *r, const launch *what)
{
    const int64_t head[] = { r->count, running_kernel->slots, what->tasks, what->scratch_bytes };
    FILE *f = open_file("memory", "w");
    put(f, head, sizeof head);
    put(f, r->part, (size_t)r->count * sizeof *r->part);
    put(f, what->args, (size_t)running_kernel->slots * 8);
    const long start = ftell(f);
    for (int k = 0; k < r->count; k++) put(f, r->part[k].iov_base, r->part[k].iov_len);
    ck_assert_int_eq(fclose(f), 0);
    return start;
}

static void read_memory(const reach *r, long start)
{
    FILE *f = open_file("memory", "r");
    ck_assert_int_eq(fseek(f, start, SEEK_SET), 0);
    for (int k = 0; k < r->count; k++)
        ck_assert_uint_eq(fread(r->part[k].iov_base, 1, r->part[k].iov_len, f), r->part[k].iov_len);
    fclose(f);
}

static fg_status launch_there(const fg_context *context, const launch *what, fg_error *error)
{
    Dl_info entry;
    const reach r = list_memory();
    (void)context, (void)error;
    ck_assert(dladdr(what->entry, &entry) && entry.dli_sname);
    build(entry.dli_sname);
    const long start = write_memory(&r, what);
    trial_assert(running, shell("timeout 120 qemu-aarch64 ./program memory"), entry.dli_sname);
    read_memory(&r, start);
    return FG_OK;
}

static backend there; /* the host's compiler and loader, and that launch */

/* ---- What it runs ---- */

static const char *const lines[] = {
    "dtype=f32 b=2 hq=4 hkv=2 sq=67 sk=120 d=24 lse",
    "dtype=f32 b=1 hq=2 sq=37 sk=75 d=33 dv=21 causal lse",
    "dtype=f32 b=1 hq=2 sq=64 d=64 causal=top-left window=20,3",
    "dtype=f32 b=1 hq=2 sq=40 sk=50 d=16 softcap=20 alibi lse",
    "dtype=f32 b=1 hq=3 sq=40 sk=50 d=16 bias=1HQK mask=B11K layout=bhsd align=4",
    "dtype=f32 b=1 hq=2 sq=1 sk=300 d=80 lse",
    "dtype=f32 b=1 hq=1 sq=300 sk=1 d=1",
    "dtype=f32 b=1 hq=2 sq=9 sk=0 d=8 lse",
    "dtype=f32 odtype=bf16 b=1 hq=2 sq=50 sk=70 d=20 align=2",
    "dtype=f32 kvdtype=f16 odtype=f16 b=1 hq=2 sq=50 sk=70 d=20 causal",
    "dtype=f16 b=2 hq=4 hkv=1 sq=67 sk=120 d=40 causal lse",
    "dtype=f16 b=1 hq=2 sq=40 sk=50 d=24 bias=11QK mask=11QK align=1",
    "dtype=f16 b=1 hq=2 sq=33 sk=33 d=16 softcap=5 bias=1H1K:bf16 window=9,-1",
    "dtype=bf16 b=2 hq=4 hkv=2 sq=67 sk=120 d=40 causal lse",
    "dtype=bf16 odtype=f32 b=1 hq=2 sq=40 sk=50 d=17 bias=B1QK:f16",
    "dtype=bf16 kvdtype=f32 b=1 hq=2 sq=40 sk=50 d=24 mask=1H1K alibi lse",
    "dtype=f32 b=1 hq=4 sq=45 sk=50 d=8 score={s - t[h] * abs(i - j) + 0.1 * tanh(s)} "
    "tensor=t:f32[hq] maskfn={(i * 73856093 + j * 19349663) % 5 ~= 0}",
    "dtype=f32 b=1 hq=2 sq=45 sk=50 d=8 score={log(1 + exp(min(s, 4))) + sqrt(1 + s * s)} lse",
    "dtype=f16 b=1 hq=2 sq=45 sk=50 d=8 tensor=n:i32[sq] tensor=u:u8[sk] "
    "maskfn={n[i] // 3 ~= u[j] % 4 and (i - j) // 4 ~= 3}",
    "dtype=bf16 b=1 hq=2 sq=45 sk=50 d=8 tensor=w:f16[hq,sk] "
    "score={where(w[h][j] > 0, s * 0.75, s + floor(w[h][j] * 4))} causal",
    "dtype=f64 b=2 hq=4 hkv=2 sq=67 sk=120 d=24 causal window=40,2 lse sinks",
    "dtype=f64 b=1 hq=2 sq=1 sk=300 d=33 dv=21 softcap=9 alibi lse",
    "dtype=f64 odtype=f16 kvdtype=bf16 b=1 hq=3 sq=40 sk=50 d=16 bias=1HQK mask=B11K",
    "dtype=f64 b=2 hq=2 sq=45 sk=70 d=8 lens=packed page=8 dropout=0.2 lse",
    "dtype=f64 b=1 hq=2 sq=45 sk=50 d=8 tensor=n:i32[sk] maskfn={n[j] // 3 ~= i % 4} lse "
    "score={log(1 + exp(min(s, 4))) + sqrt(1 + s * s) + floor(exp(s)) * 0.1 + tanh(s)}",
};

static void open_there(trial *x, fg_context *context, const char *line)
{
    trial_open(x, context, NULL, "%s", line);
    running = x;
    running_kernel = x->plan->kernel;
    there = *x->plan->kernel->backend;
    there.launch = launch_there;
    x->plan->kernel->backend = &there;
}

START_TEST(portable_kernels_are_right)
{
    trial x;
    fg_context *context = test_context(0, 1);
    for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
        open_there(&x, context, lines[k]);
        trial_check(&x, "on aarch64");
        trial_close(&x);
    }
    fg_context_free(context);
}
END_TEST

/* A number that is none spoils its row, an infinite one hides; nothing else changes. */
START_TEST(odd_numbers_mean_the_same)
{
    trial x;
    fg_context *context = test_context(0, 1);
    open_there(&x, context, "dtype=f32 b=1 hq=1 sq=37 sk=75 d=24 bias=11QK lse");
    test_tensor *bias = trial_tensor(&x, "bias");
    for (int64_t j = 0; j < 75; j++) {
        test_set(bias, test_index(bias, 0, 0, 9, j), -HUGE_VAL);
        if (j % 2) test_set(bias, test_index(bias, 0, 0, 10, j), -HUGE_VAL);
    }
    test_set(bias, test_index(bias, 0, 0, 11, 3), NAN);
    test_set(bias, test_index(bias, 0, 0, 12, 74), HUGE_VAL);
    trial_check(&x, "on aarch64");
    trial_close(&x);
    fg_context_free(context);
}
END_TEST

/* What the test lacks, or NULL. */
static const char *missing(void)
{
    if (*FLASHGEN_KERNEL_FLAGS) return "the kernels carry a sanitizer of this processor";
    if (!shell("command -v qemu-aarch64 >/dev/null")) return "qemu-aarch64 is not installed";
    if (!shell("echo 'int main(void) { return 0; }' | " COMPILER
               " -static -x c - -o empty 2>/dev/null"))
        return COMPILER " cannot link a static program";
    return NULL;
}

int main(void)
{
    const TTest *const tests[] = { portable_kernels_are_right, odd_numbers_mean_the_same, NULL };
    if (!mkdtemp(folder)) return 1;
    const char *why = missing();
    if (why) printf("aarch64: skipped, as %s: ./dev setup\n", why);
    const int failed = why ? 0 : support_run("aarch64", tests);
    shell("rm -f kernel.c program memory empty");
    rmdir(folder);
    return failed;
}
