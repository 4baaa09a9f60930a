/* flashgen store: what is kept on disk. */
#include "commands.h"
#include "terminal.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct store_choices {
    const char *max_bytes;
    int64_t most_bytes; /* as read; -1: no limit */
    bool json;
    context_choices context;
} store_choices;

static const option options[] = {
    { "max-bytes", OPTION_text, "N[K|M|G]", offsetof(store_choices, max_bytes),
      "prune: leave at most so many bytes, the most recently used (no limit)" },
    { "json", OPTION_flag, NULL, offsetof(store_choices, json),
      "list, verify: print a JSON object an entry, one a line" },
    CONTEXT_OPTIONS(store_choices, context, "c"),
    { 0 },
};

/* A visit to every entry: what it prints, and what it counts. */
typedef struct visit {
    bool json, only_damaged;
    int64_t entries, damaged, bytes;
} visit;

/* ---- One entry ---- */

static void print_json(const fg_store_entry *e)
{
    const char *const texts[][2] = { { "kind", e->kind },       { "path", e->path },
                                     { "problem", e->problem }, { "schedule", e->schedule },
                                     { "config", e->config },   { "sizes", e->sizes },
                                     { "fault", e->fault } };
    cJSON *object = cJSON_CreateObject();
    bool ok = object && cJSON_AddNumberToObject(object, "bytes", (double)e->bytes) &&
              cJSON_AddNumberToObject(object, "used", (double)e->used);
    for (size_t k = 0; k < sizeof texts / sizeof *texts && ok; k++)
        ok = texts[k][1] ? cJSON_AddStringToObject(object, texts[k][0], texts[k][1]) != NULL
                         : cJSON_AddNullToObject(object, texts[k][0]) != NULL;
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    puts(text ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(object);
}

static const char *date_of(char *out, size_t size, int64_t seconds)
{
    time_t then = (time_t)seconds;
    struct tm day;
    if (!gmtime_r(&then, &day) || strftime(out, size, "%Y-%m-%d", &day) == 0)
        snprintf(out, size, "-");
    return out;
}

/* What is known of an entry, in the order of a problem line, the bucket of its sizes, and its config. */
static const char *what_of(char *out, size_t size, const fg_store_entry *e)
{
    char clean[2000];
    terminal_clean(clean, sizeof clean, e->problem ? e->problem : "-");
    int n = snprintf(out, size, "%s", clean);
    if (e->sizes && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, "  up to %s",
                      terminal_clean(clean, sizeof clean, e->sizes));
    if (e->config && (size_t)n < size)
        snprintf(out + n, size - (size_t)n, "  %s", terminal_clean(clean, sizeof clean, e->config));
    return out;
}

static void print_row(const fg_store_entry *e)
{
    char date[32], what[4100], fault[400];
    printf("%-9s%12lld  %-10s  ", e->kind, (long long)e->bytes,
           date_of(date, sizeof date, e->used));
    if (e->status == FG_OK)
        printf("%s\n", what_of(what, sizeof what, e));
    else
        printf("DAMAGED: %s\n", terminal_clean(fault, sizeof fault, e->fault ? e->fault : "?"));
}

static void print_damaged(const fg_store_entry *e)
{
    char path[4100], fault[400];
    printf("%s: %s\n", terminal_clean(path, sizeof path, e->path),
           terminal_clean(fault, sizeof fault, e->fault ? e->fault : "?"));
}

static int visit_entry(void *user, const fg_store_entry *e)
{
    visit *v = user;
    v->entries++;
    v->bytes += e->bytes;
    v->damaged += e->status != FG_OK;
    if (v->only_damaged && e->status == FG_OK) return 0;
    if (v->json)
        print_json(e);
    else
        (v->only_damaged ? print_damaged : print_row)(e);
    return 0;
}

/* ---- The actions ---- */

static fg_status list_entries(fg_context *context, const store_choices *c, fg_error *error)
{
    visit v = { .json = c->json };
    if (!c->json) printf("%-9s%12s  %-10s  %s\n", "kind", "bytes", "used", "problem  config");
    fg_status s = fg_store_visit(context, visit_entry, &v, error);
    if (s == FG_OK && !c->json)
        printf("%lld entries, %lld bytes\n", (long long)v.entries, (long long)v.bytes);
    return s;
}

static fg_status verify(fg_context *context, const store_choices *c, fg_error *error)
{
    visit v = { .json = c->json, .only_damaged = true };
    fg_status s = fg_store_visit(context, visit_entry, &v, error);
    if (s != FG_OK) return s;
    if (!c->json)
        printf("%lld entries, %lld damaged\n", (long long)v.entries, (long long)v.damaged);
    if (v.damaged == 0) return FG_OK;
    return fault(
        error, FG_WRONG,
        "%lld of %lld entries are damaged: each is written anew when it is next needed, or "
        "removed by flashgen store prune",
        (long long)v.damaged, (long long)v.entries);
}

static void print_removed(const fg_store_report *r)
{
    printf("entries removed: %lld (%lld bytes); left: %lld (%lld bytes)\n", (long long)r->removed,
           (long long)r->removed_bytes, (long long)r->left, (long long)r->left_bytes);
}

/* -1 for no limit. */
static fg_status read_bytes(int64_t *out, const char *text, fg_error *error)
{
    static const char units[] = "KMG";
    char *end;
    errno = 0;
    *out = -1;
    if (!text) return FG_OK;
    long long number = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    if (*text < '0' || *text > '9' || errno || end[unit != NULL] || number > INT64_MAX >> shift)
        return fault(error, FG_REQUEST,
                     "--max-bytes takes a number of bytes, as 1000000, 500M or 2G, not '%s'", text);
    *out = number << shift;
    return FG_OK;
}

static fg_status prune(fg_context *context, const store_choices *c, fg_error *error)
{
    fg_store_report report = { 0 };
    fg_status s = fg_store_prune(context, c->most_bytes, &report, error);
    if (s == FG_OK) print_removed(&report);
    return s;
}

static fg_status clear(fg_context *context, const store_choices *c, fg_error *error)
{
    fg_store_report report = { 0 };
    (void)c;
    fg_status s = fg_store_clear(context, &report, error);
    if (s == FG_OK) print_removed(&report);
    return s;
}

static fg_status print_path(fg_context *context, const store_choices *c, fg_error *error)
{
    const char *path = NULL;
    (void)c;
    fg_status s = fg_store_info(context, &path, NULL, error);
    if (s == FG_OK) puts(path);
    return s;
}

typedef struct action {
    const char *name;
    fg_status (*run)(fg_context *context, const store_choices *c, fg_error *error);
    bool json, max_bytes; /* the options that it takes */
} action;

#define ACTIONS "list, verify, prune, clear or path"

static const action actions[] = {
    { "list", list_entries, true, false }, { "verify", verify, true, false },
    { "prune", prune, false, true },       { "clear", clear, false, false },
    { "path", print_path, false, false },
};

/* ---- The command ---- */

static fg_status action_find(const action **out, const store_choices *c, int argc, char **argv,
                             fg_error *error)
{
    if (argc == 0) return fault(error, FG_REQUEST, "what to do is missing: " ACTIONS);
    if (argc > 1) return fault(error, FG_REQUEST, "'%s' is one word too many", argv[1]);
    for (size_t k = 0; k < sizeof actions / sizeof *actions; k++)
        if (strcmp(actions[k].name, argv[0]) == 0) *out = &actions[k];
    if (!*out) return fault(error, FG_REQUEST, "'%s' is not what a store does: " ACTIONS, argv[0]);
    if (c->json && !(*out)->json)
        return fault(error, FG_REQUEST, "--json goes with list and verify, not with %s", argv[0]);
    if (c->max_bytes && !(*out)->max_bytes)
        return fault(error, FG_REQUEST, "--max-bytes goes with prune, not with %s", argv[0]);
    return FG_OK;
}

static fg_status check_kept(fg_context *context, fg_error *error)
{
    const char *path = NULL;
    fg_status s = fg_store_info(context, &path, NULL, error);
    if (s != FG_OK || path) return s;
    return fault(error, FG_MACHINE,
                 "nothing is kept: there is no store (--store none, an empty $FLASHGEN_STORE, or "
                 "no home directory)");
}

static fg_status store_run(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    store_choices *c = choices;
    const action *a = NULL;
    fg_context *context = NULL;
    (void)line;
    fg_status s = action_find(&a, c, argc, argv, error);
    if (s == FG_OK) s = read_bytes(&c->most_bytes, c->max_bytes, error);
    if (s == FG_OK) s = context_open(&context, &c->context, "c", error);
    if (s == FG_OK) s = check_kept(context, error);
    if (s == FG_OK) s = a->run(context, c, error);
    fg_context_free(context);
    return s;
}

const command command_store = {
    .name = "store",
    .arguments = "list|verify|prune|clear|path",
    .summary = "Lists, checks and removes what is kept on disk",
    .about =
        "list     prints a row an entry: its kind, size, the day (UTC) it was last used, problem "
        "and config\n"
        "verify   reads every entry and prints the damaged ones; exit code 1 if there are any\n"
        "prune    removes the damaged and the half written, then the least recently used down "
        "to --max-bytes\n"
        "clear    removes all\n"
        "path     prints the directory\n"
        "\nRemoving is always safe: what is missing is made anew, and what runs goes on.\n",
    .options = options,
    .run = store_run,
    .choices_size = sizeof(store_choices),
};
