#include "options.h"

#include "terminal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const option *option_find(const option *table, const char *name, size_t length)
{
    for (; table->name; table++)
        if (strlen(table->name) == length && strncmp(table->name, name, length) == 0) return table;
    return NULL;
}

/* ---- Values: a function a kind ---- */

static fg_status take_flag(const option *o, bool *field, const char *value, fg_error *error)
{
    if (value) return fault(error, FG_REQUEST, "--%s takes no value", o->name);
    *field = true;
    return FG_OK;
}

static fg_status take_text(const option *o, const char **field, const char *value, fg_error *error)
{
    (void)o;
    (void)error;
    *field = value;
    return FG_OK;
}

static fg_status take_optional(const option *o, optional *field, const char *value, fg_error *error)
{
    (void)o;
    (void)error;
    *field = (optional){ true, value };
    return FG_OK;
}

static fg_status take_count(const option *o, int64_t *field, const char *value, fg_error *error)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno)
        return fault(error, FG_REQUEST, "--%s takes a whole number from 0 on, not '%s'", o->name,
                     value);
    *field = number;
    return FG_OK;
}

static fg_status take_natural(const option *o, natural *field, const char *value, fg_error *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno)
        return fault(error, FG_REQUEST, "--%s takes a whole number from 0 to 2^64 - 1, not '%s'",
                     o->name, value);
    *field = (natural){ true, number };
    return FG_OK;
}

static fg_status take_seconds(const option *o, double *field, const char *value, fg_error *error)
{
    char *end;
    bool plain = value[strspn(value, "0123456789.")] == 0; /* no sign, "inf", "nan" or "0x" */
    double number = plain ? strtod(value, &end) : 0;
    if (!plain || *end || !(number > 0 && number <= 1e9))
        return fault(error, FG_REQUEST, "--%s takes seconds above 0, as 20 or 2.5, not '%s'",
                     o->name, value);
    *field = number;
    return FG_OK;
}

static fg_status take_words(const option *o, words *field, const char *value, fg_error *error)
{
    if (field->count == words_max)
        return fault(error, FG_REQUEST, "--%s is given more than %d times", o->name, words_max);
    field->item[field->count++] = value;
    return FG_OK;
}

static fg_status take(const option *o, void *choices, const char *value, fg_error *error)
{
    void *field = (char *)choices + o->offset;
    switch (o->kind) {
#define TAKE_KIND(kind, type)                                                                      \
    case OPTION_##kind:                                                                            \
        return take_##kind(o, field, value, error);
        OPTION_KINDS(TAKE_KIND)
#undef TAKE_KIND
    }
    return FG_OK;
}

/* Reads the option argv[*k], and moves *k to its value if that is an argument of its own. */
static fg_status read_one(const option *table, void *choices, int argc, char **argv, int *k,
                          fg_error *error)
{
    const char *name = argv[*k] + 2, *equals = strchr(name, '='),
               *value = equals ? equals + 1 : NULL;
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const option *o = option_find(table, name, length);
    if (!o)
        return fault(error, FG_REQUEST, "there is no option --%.*s (see --help)", (int)length,
                     name);
    if (o->kind != OPTION_flag && o->kind != OPTION_optional && !value) {
        if (*k + 1 == argc)
            return fault(error, FG_REQUEST, "--%s needs a value, %s", o->name, o->argument);
        value = argv[++*k];
    }
    return take(o, choices, value, error);
}

fg_status options_read(const option *table, void *choices, int *argc, char **argv, fg_error *error)
{
    int kept = 0;
    bool only_words = false; /* behind a bare -- */
    for (int k = 0; k < *argc; k++) {
        if (!only_words && strcmp(argv[k], "--") == 0) {
            only_words = true;
        } else if (!only_words && strncmp(argv[k], "--", 2) == 0) {
            fg_status s = read_one(table, choices, *argc, argv, &k, error);
            if (s != FG_OK) return s;
        } else if (!only_words && argv[k][0] == '-' && argv[k][1]) {
            return fault(error, FG_REQUEST, "there is no option %s (see --help)", argv[k]);
        } else {
            argv[kept++] = argv[k];
        }
    }
    *argc = kept;
    return FG_OK;
}

static int help_left(const option *o, char *out, size_t size)
{
    const char *before = o->kind == OPTION_optional ? "[=" : o->argument ? " " : "";
    return snprintf(out, size, "  --%s%s%s%s", o->name, before, o->argument ? o->argument : "",
                    o->kind == OPTION_optional ? "]" : "");
}

void options_help(const option *table)
{
    char left[80];
    int width = 0;
    for (const option *o = table; o->name; o++) {
        int length = help_left(o, left, sizeof left);
        if (length > width) width = length;
    }
    for (const option *o = table; o->name; o++) {
        help_left(o, left, sizeof left);
        printf("%-*s  %s\n", width, left, o->help);
    }
    printf("%-*s  %s\n", width, "  --help", "print this");
}

static void print_log(void *user, fg_log_level level, const char *sentence)
{
    (void)user;
    if (level != FG_LOG_WARNING) return;
    terminal_clear();
    fprintf(stderr, "flashgen: warning: %s\n", sentence);
}

/* This executable, for searches to start it as their worker; "" where it is unknown. */
static void find_worker(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size);
    path[length > 0 && (size_t)length < size ? length : 0] = 0;
}

static bool names_target(const char *name)
{
    return strcmp(name, "c") == 0 || strcmp(name, "auto") == 0 || strcmp(name, "cuda") == 0 ||
           strncmp(name, "cuda:", 5) == 0 || strncmp(name, "sm_", 3) == 0;
}

int context_index(fg_context *context)
{
    fg_device_info d;
    bool numbered =
        fg_context_device(context, &d, NULL) == FG_OK && strncmp(d.device, "cuda:", 5) == 0;
    return numbered ? atoi(d.device + 5) : 0;
}

/* Whether there are schedules for such a GPU. */
static bool is_recent(fg_context *context)
{
    enum { oldest = 80 };
    fg_device_info d;
    return fg_context_device(context, &d, NULL) == FG_OK && strncmp(d.isa, "sm_", 3) == 0 &&
           atoi(d.isa + 3) >= oldest;
}

/* The first GPU that is recent; the processors where there is none. */
static fg_status open_any(fg_context **out, fg_context_options *options, fg_error *error)
{
    char place[32];
    fg_status s = FG_OK;
    for (int k = 0; s == FG_OK; k++) {
        snprintf(place, sizeof place, "cuda:%d", k);
        options->device = place;
        s = fg_context_new(out, options, error);
        if (s == FG_OK && is_recent(*out)) return FG_OK;
        if (s == FG_OK) fg_context_free(*out);
    }
    if (s != FG_MACHINE) return s;
    options->device = NULL;
    return fg_context_new(out, options, error);
}

/* Who says how the processors are used means them. */
static const char *target_of(const context_choices *c, const char *usual)
{
    const bool processors = c->isa || c->compiler || c->threads;
    if (c->target) return c->target;
    return strcmp(usual, "auto") == 0 && processors ? "c" : usual;
}

fg_status context_open(fg_context **out, const context_choices *choices, const char *usual,
                       fg_error *error)
{
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    char worker[4096];
    const char *target = target_of(choices, usual);
    if (choices->threads > INT_MAX)
        return fault(error, FG_REQUEST, "--threads %lld is too many", (long long)choices->threads);
    options.log = print_log;
    if (!names_target(target))
        return fault(error, FG_REQUEST,
                     "--target '%s' is not one of: c, cuda, cuda:N, auto, sm_80 or another "
                     "architecture",
                     target);
    options.device = strcmp(target, "c") == 0 ? NULL : target;
    options.cuda_driver = choices->cuda_driver;
    options.nvrtc = choices->nvrtc;
    options.threads = (int)choices->threads;
    options.isa = choices->isa;
    options.compiler = choices->compiler;
    options.compiler_flags = choices->compiler_flags;
    options.templates = choices->templates;
    options.store = choices->store && strcmp(choices->store, "none") == 0 ? "" : choices->store;
    options.shared_stores = choices->shared_stores;
    find_worker(worker, sizeof worker);
    if (*worker) options.worker = worker;
    if (strcmp(target, "auto") == 0) return open_any(out, &options, error);
    return fg_context_new(out, &options, error);
}
