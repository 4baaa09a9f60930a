/* Seeing what is kept, and the public calls. */
#include "tests/store_support.h"

#include <time.h>

static fg_error error;
static fg_store_report report;

typedef struct seen {
    int count, wrong, stop_after;
    char last[512], text[4096];
} seen;

static int see(void *user, const fg_store_entry *e)
{
    seen *s = user;
    char order[512];
    snprintf(order, sizeof order, "%zu %s", strcspn("kwsec", (char[]){ e->kind[0], 0 }), e->path);
    ck_assert_str_eq(strstr(e->path, e->kind) != NULL ? "in its kind" : e->path, "in its kind");
    if (s->count && order[0] == s->last[0]) ck_assert_int_lt(strcmp(s->last, order), 0);
    ck_assert_int_le(s->last[0], order[0]);
    strcpy(s->last, order);
    s->count++;
    s->wrong += e->status == FG_WRONG;
    ck_assert((e->status == FG_OK) == (e->fault == NULL));
    if (e->fault) snprintf(s->text + strlen(s->text), 200, "%s; ", e->fault);
    if (e->status == FG_OK) {
        ck_assert_str_eq(e->schedule, "c");
        ck_assert(strncmp(e->problem, "dtype=f32 b=", 12) == 0);
        ck_assert_str_eq(e->config, e->problem + 12);
        ck_assert_int_gt(e->bytes, 900);
        ck_assert_int_lt(e->bytes, 1300);
        ck_assert_int_lt(llabs((long long)(e->used - (int64_t)time(NULL))), 1000);
    }
    return s->count == s->stop_after;
}

START_TEST(visit)
{
    seen all = { .count = 0 }, some = { .stop_after = 7 };
    store *s = store_quick();
    ck_assert_int_eq(store_visit(s, see, &all, &error), FG_OK);
    ck_assert_int_eq(all.count, 0);
    for (int n = 0; n < 60; n++) put_numbered(s, (store_kind)(n % store_kind_count), n, NULL);
    fg_store_counts before = store_counts(s);
    ck_assert_int_eq(store_visit(s, see, &all, &error), FG_OK);
    ck_assert_int_eq(all.count, 60);
    ck_assert_int_eq(all.wrong, 0);
    ck_assert_int_eq(store_visit(s, see, &some, &error), FG_OK);
    ck_assert_int_eq(some.count, 7);
    fg_store_counts after = store_counts(s);
    ck_assert(memcmp(&before, &after, sizeof before) == 0); /* it is no use of them */
    store_close(s);
}
END_TEST

static int sees_nothing_told(void *user, const fg_store_entry *e)
{
    ++*(int *)user;
    ck_assert(e->status == FG_OK && !e->problem && !e->schedule && !e->config);
    return 0;
}

/* A key without the fields that are told. */
START_TEST(visit_other_keys)
{
    store *s = store_quick();
    store_key k;
    key_init(&k, &memory_default);
    key_add(&k, "path", "/usr/bin/cc");
    store_put(s, STORE_compiler, &k, NULL, 0);
    store_entry e;
    digest d = key_digest(&k);
    ck_assert(store_get(&e, s, STORE_compiler, &d));
    ck_assert_int_eq(e.sections, 0);
    ck_assert(e.fields.size == k.fields.length);
    store_entry_free(&e);
    key_free(&k);
    int count = 0;
    ck_assert_int_eq(store_visit(s, sees_nothing_told, &count, &error), FG_OK);
    ck_assert_int_eq(count, 1);
    store_close(s);
}
END_TEST

START_TEST(visit_wrong_ones)
{
    seen all = { .count = 0 };
    store *s = store_quick();
    spoil(s);
    ck_assert_int_eq(store_visit(s, see, &all, &error), FG_OK);
    ck_assert_int_eq(all.count, 9);
    ck_assert_int_eq(all.wrong, 5);
    ck_assert_msg(strstr(all.text, "regular file") && strstr(all.text, "symbolic link") &&
                      strstr(all.text, "name") && strstr(all.text, "as long as it says"),
                  "%s", all.text);
    store_close(s);
}
END_TEST

/* ---- The public calls ---- */

START_TEST(public_calls)
{
    fg_context *context = NULL;
    fg_context_options o = FG_CONTEXT_OPTIONS_INIT;
    fg_store_counts counts;
    seen all = { .count = 0 };
    const char *path = NULL;
    in_folder();
    o.store = in("store");
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_OK);
    put_numbered(context->store, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(context->store, STORE_kernel, 1));
    ck_assert_int_eq(fg_store_info(context, &path, &counts, &error), FG_OK);
    ck_assert_str_eq(path, in("store"));
    ck_assert(counts.hits == 1 && counts.written == 1 && counts.misses == 0);
    ck_assert_int_eq(fg_store_info(context, NULL, NULL, &error), FG_OK);
    ck_assert_int_eq(fg_store_info(NULL, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_store_visit(context, see, &all, &error), FG_OK);
    ck_assert_int_eq(all.count, 1);
    ck_assert_int_eq(fg_store_visit(context, NULL, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_store_prune(context, -1, NULL, &error), FG_OK);
    ck_assert_int_eq(fg_store_prune(context, -2, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_store_prune(NULL, -1, NULL, &error), FG_REQUEST);
    ck_assert_int_eq(fg_store_clear(context, &report, &error), FG_OK);
    ck_assert_int_eq((int)report.removed, 1);
    ck_assert_int_eq(fg_store_clear(NULL, &report, &error), FG_REQUEST);
    fg_context_free(context);

    o.store = "";
    ck_assert_int_eq(fg_context_new(&context, &o, &error), FG_OK);
    ck_assert_int_eq(fg_store_info(context, &path, &counts, &error), FG_OK);
    ck_assert_ptr_null(path);
    ck_assert_int_eq(fg_store_visit(context, see, &all, &error), FG_OK);
    ck_assert_int_eq(fg_store_prune(context, 0, &report, &error), FG_OK);
    ck_assert_int_eq(fg_store_clear(context, &report, &error), FG_OK);
    ck_assert_int_eq((int)(report.removed + report.left), 0);
    fg_context_free(context);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { visit, visit_other_keys, visit_wrong_ones, public_calls, NULL };
    return support_run("store_visit", tests);
}
