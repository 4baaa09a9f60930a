/* ctest: labels=threads */
/* Problems with `*`: buckets of sizes, and plans that have a kernel for each. */
#include "runtime/buckets.h"
#include "runtime/choice.h"
#include "runtime/identity.h"
#include "tests/runtime_stub.h"

#include <time.h>
#include <unistd.h>

#define LINE "dtype=f64 b=* hq=4 hkv=4 sq=* sk=* d=4"

static fg_error error;

/* ---- Buckets ---- */

/* Every size falls in the first bucket that ends at it or behind. */
static void check_ends(int (*of)(int64_t), const int64_t *end, int count)
{
    int bucket = 0;
    for (int64_t n = 0; n <= end[count - 1]; n++) {
        if (n > end[bucket]) bucket++;
        ck_assert_msg(of(n) == bucket, "%d falls in bucket %d, not %d", (int)n, of(n), bucket);
    }
}

START_TEST(ends_of_buckets)
{
    static const int64_t b[] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    static const int64_t length[] = { 1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096 };
    check_ends(buckets_of_b, b, 8);
    check_ends(buckets_of_length, length, 10);
    ck_assert_int_eq(buckets_of_b(1 << 20), buckets_most_b - 1);
    ck_assert_int_eq(buckets_of_length(PROBLEM_MAX_LENGTH), buckets_most_lengths - 1);
}
END_TEST

/* What a bucket's greatest sizes fall in is that bucket; what is larger by one, in none before the last. */
START_TEST(sizes_of_buckets)
{
    static const char *const lines[] = { LINE, "b=2 hq=4 sq=* sk=* d=4", "b=* hq=4 sq=7 d=4",
                                         "b=2 hq=4 sq=9 sk=* d=4" };
    static const int expected[] = { 4 * 5 * 7, 5 * 7, 4, 7 };
    const maker_sizes most = { 5, 128, 400 };
    fg_context *context = stub_context(NULL);
    for (int n = 0; n < 4; n++) {
        fg_problem *handle = stub_problem(context, lines[n]);
        const problem *p = handle->problem;
        const buckets all = buckets_up_to(p, &most);
        ck_assert(buckets_needed(p));
        ck_assert_int_eq(buckets_count(&all), expected[n]);
        for (int k = 0; k < expected[n]; k++) {
            maker_sizes s = buckets_sizes(&all, k), round = buckets_round(p, &s);
            ck_assert_int_eq(buckets_find(&all, s.b, s.sq, s.sk), k);
            ck_assert_int_eq(memcmp(&s, &round, sizeof s), 0);
            ck_assert_int_eq(s.b == 0, p->b != problem_dynamic);
            ck_assert_int_eq(s.sk == 0, p->sk != problem_dynamic);
        }
        ck_assert_int_eq(buckets_find(&all, 1 << 20, 1 << 20, 1 << 20), expected[n] - 1);
        fg_problem_free(handle);
    }
    fg_context_free(context);
}
END_TEST

/* ---- Kernels that write a number, which their config gives ---- */

/* What the prior would choose: this decides nothing that a bucket does not. */
static int number_for(int64_t b, int64_t sq, int64_t sk)
{
    if (sq <= 1) return 1;
    if (sq <= 128) return b <= 2 ? 2 : 3;
    return sk <= 512 ? 4 : 5;
}

static atomic_int choices_asked;

/* In the order of the numbers. */
static fg_status choose_numbers(maker_choices **out, const maker_request *r, const maker_grid *g,
                                int most, fg_error *e)
{
    maker_choices *c = NULL;
    char config[16];
    fg_status status = stub_choices(&c, r, g, most, e);
    atomic_fetch_add(&choices_asked, 1);
    *out = NULL;
    if (status != FG_OK) return status;
    struct maker_choice *grown = memory_new(r->memory, 6, sizeof *grown);
    for (int n = 0; n < 6 && grown; n++) {
        snprintf(config, sizeof config, "n=%d", n);
        grown[n].schedule = stub_copy(r->memory, "stub");
        grown[n].config = stub_copy(r->memory, config);
        if (!grown[n].schedule || !grown[n].config) status = fail_memory(e);
    }
    if (grown) {
        memory_free(r->memory, c->choice->schedule, strlen(c->choice->schedule) + 1);
        memory_free(r->memory, c->choice->config, strlen(c->choice->config) + 1);
        memory_free(r->memory, c->choice, sizeof *c->choice);
        c->choice = grown;
        c->count = 6;
    } else {
        status = fail_memory(e);
    }
    for (int k = 0; k < c->sizes; k++)
        c->of[k] =
            number_for(g->b[k / (g->sqs * g->sks)], g->sq[k / g->sks % g->sqs], g->sk[k % g->sks]);
    if (status == FG_OK)
        *out = c;
    else
        maker_choices_free(c);
    return status;
}

static fg_status make_number(made **out, const maker_request *r, fg_error *e)
{
    char config[32];
    maker_request with = *r;
    stub_number = number_for(r->sizes.b, r->sizes.sq, r->sizes.sk);
    if (r->config)
        sscanf(r->config, "n=%d", &stub_number);
    else
        snprintf(config, sizeof config, "n=%d", stub_number), with.config = config;
    return stub_make(out, &with, e);
}

static const maker number_maker = {
    .make = make_number,
    .choices = choose_numbers,
    .hash = stub_hash,
};

static char store_folder[96];

static fg_context *numbering(bool keeps)
{
    fg_context_options o = stub_options();
    if (keeps) {
        if (!*folder) in_folder();
        snprintf(store_folder, sizeof store_folder, "%s/store", folder);
        o.store = store_folder;
    }
    fg_context *context = stub_context(&o);
    context->maker = &number_maker;
    return context;
}

/* What a run of these sizes writes; q, k, v and o overlap nothing but are of one block, as no kernel reads them. */
static int run_of(const fg_plan *plan, int64_t b, int64_t sq, int64_t sk)
{
    static double inputs[64], outputs[64];
    int64_t q_shape[] = { b, sq, 4, 4 }, k_shape[] = { b, sk, 4, 4 }, none[] = { 0, 0, 0, 1 };
    int64_t over[] = { 4, 4, 4, 1 };
    const DLTensor q = { inputs, { 1, 0 }, 4, { 2, 64, 1 }, q_shape, none, 0 };
    const DLTensor k = { inputs, { 1, 0 }, 4, { 2, 64, 1 }, k_shape, none, 0 };
    const DLTensor o = { outputs, { 1, 0 }, 4, { 2, 64, 1 }, q_shape, over, 0 };
    fg_args args = FG_ARGS_INIT;
    args.q = &q;
    args.k = args.v = &k;
    args.o = &o;
    outputs[0] = -1;
    fg_status status = fg_run(plan, &args, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    return (int)outputs[0];
}

static fg_plan *plan_of(fg_context *context, const fg_problem *p, const fg_plan_options *o,
                        fg_source source)
{
    fg_plan *plan;
    fg_plan_info info;
    fg_status status = fg_plan_new(&plan, context, p, o, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    fg_plan_config(plan, &info);
    ck_assert_msg(info.source == source, "source %d, not %d", (int)info.source, (int)source);
    return plan;
}

/* Sizes at both sides of the ends of buckets, up to and beyond the plan's maxima. */
static const int64_t some_b[] = { 1, 2, 3, 4, 7, 8, 9, 100 };
static const int64_t some_lengths[] = { 1, 2, 16, 17, 100, 128, 129, 512, 513, 4096, 20000 };

typedef int (*expect_fn)(int64_t b, int64_t sq, int64_t sk);

static void check_runs(const fg_plan *plan, expect_fn expected)
{
    for (size_t b = 0; b < 8; b++)
        for (size_t q = 0; q < 11; q++)
            for (size_t k = 0; k < 11; k++) {
                int64_t sq = some_lengths[q], sk = some_lengths[k];
                int got = run_of(plan, some_b[b], sq, sk), want = expected(some_b[b], sq, sk);
                ck_assert_msg(got == want, "b=%d sq=%d sk=%d: kernel %d, not %d", (int)some_b[b],
                              (int)sq, (int)sk, got, want);
            }
}

START_TEST(each_run_takes_its_kernel)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED), *again;
    fg_plan_info info;
    ck_assert_int_eq(atomic_load(&stub_made), 5); /* configs, not buckets; nobody takes n=0 */
    check_runs(plan, number_for);
    fg_plan_config(plan, &info);
    ck_assert_str_eq(info.config, "n=5"); /* of the largest */
    again = plan_of(context, p, NULL, FG_FROM_MEMORY);
    ck_assert_ptr_eq(again->table, plan->table);
    ck_assert_int_eq(atomic_load(&choices_asked), 1);
    fg_plan_free(plan);
    fg_plan_free(again);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* Larger runs take the kernel of the largest sizes. */
static int up_to_2_100_512(int64_t b, int64_t sq, int64_t sk)
{
    return number_for(b < 2 ? b : 2, sq < 128 ? sq : 128, sk < 512 ? sk : 512);
}

START_TEST(beyond_the_maxima)
{
    fg_dims most = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    most.b = 2;
    most.sq = 100;
    most.sk = 512;
    o.most = &most;
    fg_plan *plan = plan_of(context, p, &o, FG_COMPILED);
    ck_assert_int_eq(atomic_load(&stub_made), 2);
    check_runs(plan, up_to_2_100_512);
    most.sq = 128; /* the same buckets */
    fg_plan *same = plan_of(context, p, &o, FG_FROM_MEMORY);
    ck_assert_ptr_eq(plan->table, same->table);
    fg_plan_free(plan);
    fg_plan_free(same);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(one_open_size)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, "dtype=f64 b=3 hq=4 sq=200 sk=* d=4");
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    ck_assert_int_eq(run_of(plan, 3, 200, 7), 1); /* the maker is told no sq */
    ck_assert_int_eq(buckets_count(&plan->table->buckets), 12);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Options ---- */

static void refused(fg_context *context, const fg_problem *p, const fg_plan_options *o,
                    fg_status status, const char *part)
{
    fg_plan *plan = (fg_plan *)1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, o, &error), status);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

START_TEST(sizes_are_checked)
{
    fg_dims dims = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    o.most = &dims;
    dims.sq = -2;
    refused(context, p, &o, FG_REQUEST, "fg_dims.sq is -2: it must be 0 to 268435456");
    dims.sq = -1;
    dims.b = (1 << 20) + 1;
    refused(context, p, &o, FG_REQUEST, "fg_dims.b is 1048577: it must be 0 to 1048576");
    dims.b = -1;
    dims.size = 3;
    refused(context, p, &o, FG_REQUEST, "fg_dims has size 3");
    dims.size = sizeof dims;
    o.rigor = FG_MEASURE;
    refused(context, p, &o, FG_REQUEST, "b is given at launch (*): a search needs a size");
    o.sizes = &dims;
    dims.b = 4;
    dims.sq = 0;
    refused(context, p, &o, FG_REQUEST, "fg_dims.sq is 0: it must be 1 to");
    dims.sq = 1;
    refused(context, p, &o, FG_REQUEST, "sk is given at launch");
    o.rigor = FG_STORED;
    o.most = o.sizes = NULL;
    refused(context, p, &o, FG_NOT_STORED, "no tuned kernel is stored for any sizes of b=*");
    ck_assert_int_eq(atomic_load(&stub_made), 0);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- The store ---- */

START_TEST(a_stored_table_asks_nobody)
{
    fg_context_options bare = stub_options();
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan_free(plan_of(context, p, NULL, FG_COMPILED));
    fg_problem_free(p);
    fg_context_free(context);
    /* then on a machine that has lost its compiler, too */
    for (int n = 0; n < 2; n++) {
        bare.store = store_folder;
        if (n) bare.compiler = "/no/such/compiler";
        context = stub_context(&bare);
        context->maker = &number_maker;
        p = stub_problem(context, LINE);
        fg_plan *plan = plan_of(context, p, NULL, FG_FROM_STORE);
        check_runs(plan, number_for);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
    }
    ck_assert_int_eq(atomic_load(&stub_made), 5);
    ck_assert_int_eq(atomic_load(&choices_asked), 1);
}
END_TEST

static void damage(const char *kind, off_t length)
{
    char path[128], file[400];
    snprintf(path, sizeof path, "%s/%s", store_folder, kind);
    DIR *d = opendir(path);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        ck_assert_int_eq(truncate(file, length), 0);
    }
    closedir(d);
}

START_TEST(damage_is_healed)
{
    stub_is_number();
    for (int n = 0; n < 4; n++) {
        fg_context *context = numbering(true);
        fg_problem *p = stub_problem(context, LINE);
        fg_plan *plan = plan_of(context, p, NULL, n == 0 || n == 2 ? FG_COMPILED : FG_FROM_STORE);
        check_runs(plan, number_for);
        fg_plan_free(plan);
        fg_problem_free(p);
        fg_context_free(context);
        if (n < 2) damage(n ? "kernel" : "estimate", 100);
    }
    ck_assert_int_eq(atomic_load(&choices_asked), 2);
    ck_assert_int_eq(atomic_load(&stub_made), 10);
}
END_TEST

/* ---- Winners ---- */

/* Stores what a search of a bucket would: a kernel that writes `number`. */
static void store_winner(fg_context *context, const fg_problem *p, const char *sizes, int number)
{
    static const store_kind kinds[] = { STORE_winner, STORE_stored };
    choice c = { .schedule = "stub", .seconds = 1 };
    store_key k;
    image i;
    snprintf(c.config, sizeof c.config, "n=%d", number);
    ck_assert_int_eq(image_make(&i, context, p->problem, c.config, NULL, &error), FG_OK);
    ck_assert_int_eq(choice_kernel_key(&k, context, p->problem, "stub", c.config, &error), FG_OK);
    c.kernel = key_digest(&k);
    ck_assert_int_eq(identity_of_compiler(&c.compiler, context, &error), FG_OK);
    plan_store_kernel(context, &k, &i);
    key_free(&k);
    image_free(&i);
    for (int n = 0; n < 2; n++) {
        ck_assert_int_eq(choice_key(&k, kinds[n], context, p->problem, "", &error), FG_OK);
        ck_assert_int_eq(choice_key_add(&k, "sizes", sizes, &error), FG_OK);
        choice_put(context, kinds[n], &k, &c);
        key_free(&k);
    }
}

static bool in_tuned_bucket(int64_t b, int64_t sq, int64_t sk)
{
    return b > 2 && b <= 4 && sq > 256 && sq <= 512 && sk > 2048 && sk <= 4096;
}

static int with_winner(int64_t b, int64_t sq, int64_t sk)
{
    return in_tuned_bucket(b, sq, sk) ? 9 : number_for(b, sq, sk);
}

#define TUNED_BUCKET "b=4 sq=512 sk=4096"

START_TEST(a_winner_serves_its_bucket)
{
    fg_dims sizes = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 9);
    sizes.b = 3;
    sizes.sq = 300;
    sizes.sk = 4000;
    o.sizes = &sizes;
    for (int n = 0; n < 2; n++) {
        o.rigor = n ? FG_MEASURE : FG_ESTIMATE; /* it is there: no search begins */
        fg_plan *plan = plan_of(context, p, &o, n ? FG_FROM_MEMORY : FG_COMPILED);
        ck_assert_int_eq(run_of(plan, 3, 300, 4000), 9);
        check_runs(plan, with_winner);
        fg_plan_free(plan);
    }
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

static int note_sizes(void *user, const fg_store_entry *e)
{
    const bool winner = strcmp(e->kind, "winner") == 0 || strcmp(e->kind, "stored") == 0;
    ck_assert_int_eq(e->sizes != NULL, winner);
    if (winner) ck_assert_str_eq(e->sizes, TUNED_BUCKET);
    if (strcmp(e->kind, "estimate") == 0) ck_assert_str_eq(e->config, "n=5"); /* the last */
    ++*(int *)user;
    return 0;
}

START_TEST(a_visit_tells_the_bucket)
{
    int visited = 0;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 9);
    fg_plan_free(plan_of(context, p, NULL, FG_COMPILED));
    ck_assert_int_eq(fg_store_visit(context, note_sizes, &visited, &error), FG_OK);
    ck_assert_int_ge(visited, 6 + 2 + 1);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* One winner for few rows, one for many: every bucket takes the nearer. */
static int nearer(int64_t b, int64_t sq, int64_t sk)
{
    (void)b, (void)sk;
    return sq <= 32 ? 7 : 8;
}

START_TEST(stored_takes_the_nearest)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    fg_context_options bare = stub_options();
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, "b=4 sq=1 sk=512", 7);
    store_winner(context, p, "b=4 sq=128 sk=512", 8); /* 1, 16 | 32: a tie goes to the first */
    fg_problem_free(p);
    fg_context_free(context);
    o.rigor = FG_STORED;
    bare.store = store_folder;
    bare.compiler = "/no/such/compiler";
    context = stub_context(&bare);
    context->maker = NULL;
    p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, &o, FG_FROM_STORE);
    check_runs(plan, nearer);
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* A winner that cannot be loaded counts as none, where nothing is compiled. */
START_TEST(stored_without_its_kernels)
{
    fg_plan_options o = FG_PLAN_OPTIONS_INIT;
    o.rigor = FG_STORED;
    stub_is_number();
    fg_context *context = numbering(true);
    fg_problem *p = stub_problem(context, LINE);
    store_winner(context, p, TUNED_BUCKET, 7);
    damage("kernel", 100);
    refused(context, p, &o, FG_NOT_STORED, "no tuned kernel");
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

START_TEST(an_adopted_winner_takes_over)
{
    image i;
    const maker_sizes sizes = { 4, 512, 4096 };
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *before = plan_of(context, p, NULL, FG_COMPILED);
    ck_assert_int_eq(image_make(&i, context, p->problem, "n=9", &sizes, &error), FG_OK);
    ck_assert_int_eq(plan_adopt(context, p->problem, &sizes, "", &i, false, &error), FG_OK);
    image_free(&i);
    fg_plan *after = plan_of(context, p, NULL, FG_FROM_MEMORY);
    check_runs(before, number_for); /* what a host has does not change */
    check_runs(after, with_winner);
    fg_plan_free(before);
    fg_plan_free(after);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* A table that was chosen before a winner came must not stand for what comes after. */
START_TEST(a_table_chosen_too_early)
{
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    plan_request r = request_of(p->problem, FG_ESTIMATE, "another", "");
    for (int late = 0; late < 2; late++) {
        unsigned adoptions = kernels_adoptions(context);
        kernel_table *t = table_new(context, &plan->table->buckets);
        if (!late) kernels_forget_tables(context, p->problem);
        ck_assert_int_eq(kernels_keep_table(t, &r, adoptions, &error), FG_OK);
        ck_assert_ptr_eq(kernels_find_table(context, &r), late ? t : NULL);
    }
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Memory of a run ---- */

static fg_status make_hungry(made **out, const maker_request *r, fg_error *e)
{
    static const char *const scratch[] = {
        "0", "sk * 64", "b * 64 * 7", "sq * 128", "sk * 64", "64"
    };
    fg_status status = make_number(out, r, e);
    if (status != FG_OK) return status;
    return recipe_parse(&(*out)->step[0].scratch, scratch[stub_number], e);
}

static const maker hungry_maker = {
    .make = make_hungry,
    .choices = choose_numbers,
    .hash = stub_hash,
};

/* Bytes that hungry kernels ask for, told by the sizes of the run. */
static int64_t hunger(int64_t b, int64_t sq, int64_t sk)
{
    const int64_t all[] = { 0, sk * 64, b * 64 * 7, sq * 128, sk * 64, 64 };
    return all[number_for(b, sq, sk)];
}

START_TEST(workspace_of_the_hungriest)
{
    fg_context_options o = stub_options();
    stub_is_number();
    o.threads = 1;
    fg_context *context = stub_context(&o);
    context->maker = &hungry_maker;
    fg_problem *p = stub_problem(context, LINE);
    fg_plan *plan = plan_of(context, p, NULL, FG_COMPILED);
    for (int n = 0; n < 60; n++) {
        fg_dims dims = FG_DIMS_INIT;
        size_t bytes;
        int64_t most = 0;
        dims.b = 1 + n % 6;
        dims.sq = 1 + n * 37 % 200;
        dims.sk = 1 + n * 101 % 600;
        for (int64_t b = 1; b <= dims.b; b++)
            for (int64_t sq = 1; sq <= dims.sq; sq++)
                for (int64_t sk = 1; sk <= dims.sk; sk++)
                    if (hunger(b, sq, sk) > most) most = hunger(b, sq, sk);
        ck_assert_int_eq(fg_plan_workspace(plan, &dims, &bytes, &error), FG_OK);
        ck_assert_msg((int64_t)bytes == most, "b=%d sq=%d sk=%d: %lld bytes, not %lld", (int)dims.b,
                      (int)dims.sq, (int)dims.sk, (long long)bytes, (long long)most);
    }
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- In the background ---- */

START_TEST(a_table_in_the_background)
{
    fg_plan *plan, *other;
    fg_dims most = FG_DIMS_INIT;
    fg_plan_options o = FG_PLAN_OPTIONS_INIT, small = FG_PLAN_OPTIONS_INIT;
    fg_status status;
    stub_is_number();
    fg_context *context = numbering(false);
    fg_problem *p = stub_problem(context, LINE);
    o.background = small.background = 1;
    small.most = &most;
    most.sq = most.sk = most.b = 1;
    ck_assert_int_eq(fg_plan_new(&plan, context, p, &o, &error), FG_PENDING);
    ck_assert_int_eq(fg_plan_new(&other, context, p, &small, &error), FG_PENDING);
    do {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        status = fg_plan_new(&plan, context, p, &o, &error);
    } while (status == FG_PENDING);
    ck_assert_int_eq(status, FG_OK);
    check_runs(plan, number_for);
    do status = fg_plan_new(&other, context, p, &small, &error);
    while (status == FG_PENDING);
    ck_assert_int_eq(status, FG_OK);
    ck_assert_int_eq(run_of(other, 8, 4096, 4096), 1);
    fg_plan_free(plan);
    fg_plan_free(other);
    fg_problem_free(p);
    fg_context_free(context);
}
END_TEST

/* ---- Failing on purpose ---- */

/* On one thread, so that allocations come in one order. */
static fg_status plan_with(failing *f, const char *path)
{
    fg_context_options o = stub_options();
    fg_context *context = NULL;
    fg_problem *p = NULL;
    fg_plan *plan = NULL;
    fg_plan_options few = FG_PLAN_OPTIONS_INIT;
    fg_dims most = FG_DIMS_INIT;
    most.b = 4;
    most.sq = most.sk = 256;
    few.most = &most;
    o.store = path;
    o.threads = 1;
    o.compiler = stub_compiler;
    o.allocate = failing_allocate;
    o.allocate_user = f;
    fg_status status = fg_context_new(&context, &o, &error);
    if (status != FG_OK) return status;
    context->maker = &number_maker;
    status = fg_problem_parse(&p, context, LINE, &error);
    if (status == FG_OK) status = fg_plan_new(&plan, context, p, &few, &error);
    ck_assert((status == FG_OK) == (plan != NULL));
    fg_plan_free(plan);
    fg_problem_free(p);
    fg_context_free(context);
    return status;
}

/* With a store, what it misses for want of memory is made anew, or the memory is missed there, too. */
static void fail_all(const char *path, bool known)
{
    failing f = { .at = -1 };
    int files = stub_open_files();
    ck_assert_int_eq(plan_with(&f, path), FG_OK);
    f = (failing){ .at = -1 };
    if (known) ck_assert_int_eq(plan_with(&f, path), FG_OK);
    if (!known) {
        if (*path) damage("estimate", 0), damage("kernel", 0);
        ck_assert_int_eq(plan_with(&f, path), FG_OK);
    }
    long all = f.count, failed = 0;
    ck_assert_int_gt((int)all, 30);
    for (int for_good = 0; for_good < 2; for_good++)
        for (long at = 1; at <= all; at++) {
            if (!known && *path) damage("estimate", 0), damage("kernel", 0);
            f = (failing){ .at = at, .for_good = for_good };
            fg_status status = plan_with(&f, path);
            failed += status == FG_MEMORY;
            ck_assert_msg(status == FG_OK || status == FG_MEMORY, "allocation %ld: %s: %s", at,
                          fg_status_name(status), error.text);
            ck_assert_msg(f.blocks == 0 && f.bytes == 0, "allocation %ld leaks %ld blocks", at,
                          f.blocks);
        }
    ck_assert_int_gt((int)failed, 10);
    if (!*path) ck_assert_int_eq((int)failed, 2 * (int)all);
    ck_assert_int_eq(stub_open_files(), files);
}

static void prepare_to_fail(void)
{
    stub_is_number();
    fg_context_free(numbering(true));
    stub_compiler_make();
}

START_TEST(every_allocation_fails)
{
    prepare_to_fail();
    fail_all("", false);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_made)
{
    prepare_to_fail();
    fail_all(store_folder, false);
}
END_TEST

START_TEST(every_allocation_fails_when_it_is_stored)
{
    prepare_to_fail();
    fail_all(store_folder, true);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ends_of_buckets,
        sizes_of_buckets,
        each_run_takes_its_kernel,
        beyond_the_maxima,
        one_open_size,
        sizes_are_checked,
        a_stored_table_asks_nobody,
        damage_is_healed,
        a_winner_serves_its_bucket,
        a_visit_tells_the_bucket,
        stored_takes_the_nearest,
        stored_without_its_kernels,
        an_adopted_winner_takes_over,
        a_table_chosen_too_early,
        workspace_of_the_hungriest,
        a_table_in_the_background,
        every_allocation_fails,
        every_allocation_fails_when_it_is_made,
        every_allocation_fails_when_it_is_stored,
        NULL,
    };
    return support_run("buckets", tests);
}
