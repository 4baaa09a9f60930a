#include "runtime/executable.h"
#include "runtime/toolchain.h"

#include "runtime/backend_c.h"
#include "runtime/executable.h"
#include "runtime/folder.h"
#include "runtime/library.h"
#include "runtime/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { patience = 5 }; /* seconds, for all questions together */

typedef struct search {
    toolchain *out;
    char *compiler;
    char *folder; /* where programs run, and may leave what they like */
    double deadline;
    fg_status status;      /* FG_MEMORY, or FG_OK */
    process_result result; /* of the last program */
} search;

/* ---- Asking ---- */

/* Whether another try could end otherwise. */
static bool ended_by_chance(const process_result *r)
{
    bool never = r->code == ENOENT || r->code == EACCES || r->code == ENOEXEC;
    return r->end == PROCESS_unstarted ? !never : r->end != PROCESS_exited;
}

static bool run(search *s, char *const argv[])
{
    double left = s->deadline - library_seconds();
    if (!s->out->whole || s->status != FG_OK) return false;
    process_run_raw(&s->result, argv, s->folder, left > 0 ? left : 0);
    s->out->whole = !ended_by_chance(&s->result);
    return s->result.end == PROCESS_exited && s->result.code <= 0;
}

/* The real path of a regular file. */
static bool resolve(char out[PATH_MAX], const char *path)
{
    struct stat info;
    return realpath(path, out) && stat(out, &info) == 0 && S_ISREG(info.st_mode);
}

/* What the driver calls `name`: a path, or a name that is looked up as it would look it up. */
static bool ask(char out[PATH_MAX], search *s, const char *name)
{
    char option[64], found[PATH_MAX];
    snprintf(option, sizeof option, "-print-prog-name=%s", name);
    char *const argv[] = { s->compiler, option, NULL };
    if (!run(s, argv)) return false;
    char *answer = s->result.output;
    answer[strcspn(answer, "\n")] = 0;
    if (*answer == '/') return resolve(out, answer);
    if (*answer == 0 || strchr(answer, '/')) return false;
    return executable_find(found, answer) && resolve(out, found);
}

/* ---- What there is ---- */

/* False where it is known already. */
static bool add(search *s, const char *path)
{
    toolchain_file **place = &s->out->files;
    while (*place && strcmp((*place)->path, path) < 0) place = &(*place)->next;
    if (*place && strcmp((*place)->path, path) == 0) return false;
    toolchain_file *file = arena_new(&s->out->arena, sizeof *file);
    char *copy = arena_new(&s->out->arena, strlen(path) + 1);
    if (!file || !copy) {
        s->status = FG_MEMORY;
        return false;
    }
    strcpy(copy, path);
    *file = (toolchain_file){ *place, copy };
    *place = file;
    return true;
}

/* Of lines "\tNAME => /PATH (0xADDRESS)" and "\t/PATH (0xADDRESS)". */
static void add_libraries(search *s)
{
    char real[PATH_MAX];
    for (char *rest = s->result.output, *line; (line = strsep(&rest, "\n"));) {
        char *arrow = strstr(line, " => "), *path = arrow ? arrow + 4 : line + strspn(line, "\t ");
        char *end = strrchr(path, ' ');
        if (*path != '/' || !end || end[1] != '(') continue;
        *end = 0;
        if (resolve(real, path)) add(s, real);
    }
}

/* The dynamic linker says what it would load, and the program does not run. A static one runs, in a folder
 * that goes. */
static void add_program(search *s, char *path)
{
    static char env[] = "/usr/bin/env", trace[] = "LD_TRACE_LOADED_OBJECTS=1";
    char *const argv[] = { env, trace, path, NULL };
    if (add(s, path) && run(s, argv)) add_libraries(s);
}

static void add_tools(search *s)
{
    static const char *const of_gcc[] = { "cc1", "as", "ld", NULL };
    static const char *const of_clang[] = { "clang", "ld", NULL };
    char path[PATH_MAX];
    bool gcc = ask(path, s, *of_gcc);
    if (gcc) add_program(s, path);
    for (const char *const *name = gcc ? of_gcc + 1 : of_clang; *name; name++)
        if (ask(path, s, *name)) add_program(s, path);
}

fg_status toolchain_find(toolchain *out, const fg_context *context, const char *driver,
                         fg_error *error)
{
    double seconds = context->compiler_seconds;
    char path[PATH_MAX];
    search s = { .out = out, .compiler = context->compiler };
    *out = (toolchain){ .whole = true };
    arena_init(&out->arena, &context->memory);
    fg_status status = folder_new(&s.folder, &context->memory, error);
    if (status != FG_OK) return status;
    s.deadline = library_seconds() + (seconds < patience ? seconds : patience);
    snprintf(path, sizeof path, "%s", driver);
    add_program(&s, path);
    add_tools(&s);
    folder_remove(&context->memory, s.folder);
    return s.status == FG_OK ? FG_OK : fail_memory(error);
}

void toolchain_free(toolchain *t)
{
    arena_free(&t->arena);
}
