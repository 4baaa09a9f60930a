/* A compiler of our own, which looks like gcc and writes down each time that it runs. */
#ifndef TESTS_COMPILER_STUB_H
#define TESTS_COMPILER_STUB_H

#include "runtime/identity.h"
#include "runtime/library.h"
#include "tests/runtime_stub.h"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static fg_error error;

static inline char *in(const char *name)
{
    static char path[8][200];
    static int turn;
    char *out = path[turn++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static inline void write_file(const char *name, const char *content)
{
    FILE *out = fopen(in(name), "w");
    ck_assert_ptr_nonnull(out);
    fputs(content, out);
    fclose(out);
    ck_assert_int_eq(chmod(in(name), 0755), 0);
}

/* Looks like gcc: cc1 has a path, as is on PATH, ld is nowhere. Writes down each time that it runs. */
static inline void write_compiler(const char *also)
{
    char script[1000];
    snprintf(script, sizeof script,
             "#!/bin/sh\necho \"$@\" >> %s/log\n%s\ncase $1 in\n"
             "-print-prog-name=cc1) echo %s/lib/../cc1;;\n"
             "-print-prog-name=as) echo our-as;;\n"
             "-print-prog-name=*) echo no-such-${1#*=};;\nesac\n",
             folder, also, folder);
    write_file("cc", script);
}

static inline void in_compiler_folder(void)
{
    char path[300];
    in_folder();
    ck_assert_int_eq(mkdir(in("lib"), 0700), 0);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    ck_assert_int_eq(setenv("PATH", path, 1), 0);
    write_file("cc1", "the first one");
    write_file("our-as", "#!/bin/sh\n");
    write_compiler("");
}

/* How often the compiler ran since the last time we asked. */
static inline int runs(void)
{
    static int before;
    int lines = 0;
    char *log = support_read(in("log"), NULL);
    for (const char *c = log; c && *c; c++) lines += *c == '\n';
    free(log);
    int more = lines - before;
    before = lines;
    return more;
}

static double patience = 60; /* compiler_seconds */

static inline fg_context *context_with(const char *compiler, const char *store_folder)
{
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    fg_context *context = NULL;
    o.compiler = compiler;
    o.store = store_folder ? store_folder : "";
    o.compiler_seconds = patience;
    ck_assert_msg(fg_context_new(&context, &o, &error) == FG_OK, "%s", error.text);
    return context;
}

/* What programs left in TMPDIR. */
static inline int left_behind(void)
{
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));) count += strncmp(e->d_name, "flashgen-", 9) == 0;
    closedir(d);
    return count;
}

/* ---- Identities ---- */

static inline digest identity(fg_context *context)
{
    digest d;
    fg_status status = identity_of_compiler(&d, context, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return d;
}

/* By a context of its own, that keeps nothing. */
static inline digest fresh(const char *compiler)
{
    fg_context *context = context_with(compiler, NULL);
    digest d = identity(context);
    fg_context_free(context);
    return d;
}

static inline void assert_same(digest a, digest b)
{
    ck_assert(digest_equal(&a, &b));
}

static inline void assert_other(digest a, digest b)
{
    ck_assert(!digest_equal(&a, &b));
}

static inline digest stored_identity(void)
{
    fg_context *context = context_with(in("cc"), in("store"));
    digest d = identity(context);
    assert_same(identity(context), d);
    fg_context_free(context);
    return d;
}

/* ---- Who opens what ---- */

/* Files of the folder opened since `watch` was made. */
static inline bool opened(int watch)
{
    char events[4096];
    return read(watch, events, sizeof events) > 0;
}

static inline int watch_folder(void)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    ck_assert_int_ge(watch, 0);
    ck_assert_int_ge(inotify_add_watch(watch, folder, IN_OPEN | IN_ACCESS), 0);
    return watch;
}

#endif
