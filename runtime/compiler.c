#include "runtime/backend_c.h"
#include "runtime/executable.h"
#include "runtime/folder.h"
#include "runtime/process.h"

#include <stdio.h>
#include <string.h>

/* Nothing that changes a result behind the kernel's back: no -ffast-math, which would also set flush-to-zero
 * in the host when it loads the kernel, and no -march=native, which is not what CPUID says in this process.
 * Kernels are written in vectors: looking for more takes the compiler a seventh of its work and finds nothing; and
 * they say what is to be inlined and unrolled: doing more of it (-O3) takes a quarter more, and makes nothing faster.
 * Errno and traps are nobody's. Kernels need no start files; a memcpy that the compiler makes up is the
 * host's. */
#define FLAGS_kernel                                                                               \
    "-O2 -std=gnu11 -fPIC -shared -fno-math-errno -fno-trapping-math -ffp-contract=fast -fwrapv "  \
    "-fno-strict-aliasing -fno-tree-vectorize -fno-inline-functions"
#define FLAGS_bare "-nostdlib"

static bool find_any(char out[PATH_MAX], const char *wanted)
{
    static const char *const names[] = { "cc", "gcc", "clang" };
    if (wanted) return executable_find(out, wanted);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        if (executable_find(out, names[k])) return true;
    return false;
}

fg_status compiler_find(fg_context *context, const char *wanted, fg_error *error)
{
    char path[PATH_MAX];
    char *why = context->compiler_missing;
    size_t size = sizeof context->compiler_missing;
    if (context->secure) {
        snprintf(why, size, "a setuid process runs no host compiler");
    } else if (find_any(path, wanted)) {
        context->compiler = memory_text(&context->memory, path, strlen(path));
        return context->compiler ? FG_OK : fail_memory(error);
    } else if (!wanted) {
        snprintf(why, size, "there is no host compiler: none of cc, gcc and clang is on PATH");
    } else if (strchr(wanted, '/')) {
        snprintf(why, size, "there is no host compiler: %.150s is no executable file", wanted);
    } else {
        snprintf(why, size, "there is no host compiler: %.150s is not on PATH", wanted);
    }
    return FG_OK; /* whoever needs one gets the reason */
}

/* The words of `flags`, with single spaces between. */
static void add_words(text *t, const char *flags)
{
    while (*(flags += strspn(flags, " "))) {
        size_t length = strcspn(flags, " ");
        if (t->length > 0) text_add(t, " ", 1);
        text_add(t, flags, length);
        flags += length;
    }
}

fg_status compiler_flags_make(fg_context *context, const char *further, fg_error *error)
{
    text flags;
    if (!further) further = "";
    text_init(&flags, &context->memory);
    add_words(&flags, FLAGS_kernel);
    if (!strstr(further, "-fsanitize"))
        add_words(&flags, FLAGS_bare); /* sanitizers have run-time libraries */
    add_words(&flags, context->device.isa->flags);
    add_words(&flags, further);
    if (!flags.failed)
        context->compiler_flags = memory_text(&context->memory, flags.data, flags.length);
    text_free(&flags);
    return context->compiler_flags ? FG_OK : fail_memory(error);
}

/* ---- Running it ---- */

/* The command's words: pointers into one copy of the flags, all in the arena. */
static char **command_new(arena *a, const fg_context *context, char *const *last)
{
    size_t length = strlen(context->compiler_flags) + 1, words = 2, count = 0;
    for (size_t k = 0; k < length; k++) words += context->compiler_flags[k] == ' ';
    for (char *const *w = last; *w; w++) words++;
    char **argv = arena_new(a, (words + 1) * sizeof *argv);
    char *flags = arena_new(a, length);
    if (!argv || !flags) return NULL;
    memcpy(flags, context->compiler_flags, length);
    argv[count++] = context->compiler;
    for (char *rest = flags, *word; (word = strsep(&rest, " "));) argv[count++] = word;
    while (*last) argv[count++] = *last++;
    return argv;
}

enum { error_output_max = 1500 }; /* leaves room for a sentence in an fg_error */

/* How it ended, unless well. */
static fg_status judge(const process_result *r, const char *compiler, double seconds,
                       fg_error *error)
{
    int room = error_output_max;
    const char *output = r->output;
    if (r->end == PROCESS_unstarted)
        return fail(error, FG_COMPILER, "cannot start the host compiler %.200s: %s", compiler,
                    errno_text(r->code));
    if (r->end == PROCESS_late)
        return fail(error, FG_COMPILER,
                    "the host compiler %.200s was ended after %ld ms without a result\n%.*s",
                    compiler, (long)(seconds * 1000), room, output);
    if (r->end == PROCESS_killed)
        return fail(error, FG_COMPILER, "the host compiler %.200s was killed by signal %d\n%.*s",
                    compiler, r->code, room, output);
    if (r->code > 0)
        return fail(error, FG_COMPILER, "the host compiler %.200s failed with exit code %d:\n%.*s",
                    compiler, r->code, room, output);
    return FG_OK;
}

enum { binary_limit = 256 << 20 };

static fg_status take_binary(binary *out, const fg_context *context, const char *folder,
                             const process_result *r, fg_error *error)
{
    const memory *m = &context->memory;
    char *path = folder_path(m, folder, "kernel.so");
    if (!path) return fail_memory(error);
    fg_status status = file_read(&out->data, &out->size, binary_limit, m, path, error);
    if (status == FG_REQUEST)
        status = fail(error, FG_COMPILER,
                      "the host compiler %.200s succeeded but wrote no kernel.so\n%.*s",
                      context->compiler, error_output_max, r->output);
    memory_free(m, path, strlen(path) + 1);
    return status;
}

static fg_status compile_in(binary *out, const fg_context *context, const char *folder,
                            fg_error *error)
{
    static char o[] = "-o", so[] = "kernel.so", c[] = "kernel.c";
    char *const last[] = { o, so, c, NULL };
    process_result result;
    arena words;
    arena_init(&words, &context->memory);
    char **argv = command_new(&words, context, last);
    fg_status status = argv ? FG_OK : fail_memory(error);
    if (status != FG_OK) goto out;
    process_run(&result, argv, folder, context->compiler_seconds);
    status = judge(&result, context->compiler, context->compiler_seconds, error);
    if (status == FG_OK) status = take_binary(out, context, folder, &result, error);
out:
    arena_free(&words);
    return status;
}

fg_status compiler_run(binary *out, const fg_context *context, const char *source, size_t length,
                       fg_error *error)
{
    const memory *m = &context->memory;
    char *folder = NULL, *path = NULL;
    fg_status status;
    *out = (binary){ NULL, 0 };
    if (!context->compiler) return fail(error, FG_COMPILER, "%s", context->compiler_missing);
    if ((status = folder_new(&folder, m, error)) != FG_OK) goto out;
    path = folder_path(m, folder, "kernel.c");
    if (!path) {
        status = fail_memory(error);
        goto out;
    }
    if ((status = file_write(path, source, length, error)) != FG_OK) goto out;
    status = compile_in(out, context, folder, error);
out:
    if (path) memory_free(m, path, strlen(path) + 1);
    folder_remove(m, folder);
    return status;
}

void compiler_ask_version(char *out, size_t size, const fg_context *context)
{
    static char version[] = "--version";
    char *const argv[] = { context->compiler, version, NULL };
    process_result result;
    process_run(&result, argv, "/", context->compiler_seconds);
    int length = (int)strcspn(result.output, "\n");
    bool said = result.end == PROCESS_exited && result.code == 0;
    snprintf(out, size, "%.*s", said ? length : 0, result.output);
}

fg_status compiler_version(const char **out, fg_context *context, fg_error *error)
{
    char asked[512];
    char *known = atomic_load(&context->compiler_version);
    *out = known;
    if (known || !context->compiler) return FG_OK;
    context->backend->version(asked, sizeof asked, context);
    const size_t length = strlen(asked);
    if (length == 0) return FG_OK;
    char *line = memory_text(&context->memory, asked, length);
    if (!line) return fail_memory(error);
    if (atomic_compare_exchange_strong(&context->compiler_version, &known, line))
        known = line;
    else
        memory_free(&context->memory, line, length + 1); /* another thread asked too */
    *out = known;
    return FG_OK;
}
