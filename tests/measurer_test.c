/* Candidates measured in a worker process: whatever they do to it, the next one is measured. */
#include "autotune/frame.h"
#include "autotune/measurer.h"
#include "runtime/library.h"
#include "tests/candidate_stub.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A sanitizer reports a fault itself, and then exits. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS "ended the process with exit code "
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define FAULTS "ended the process with exit code "
#endif
#endif
#ifndef FAULTS
#define FAULTS "crashed by signal 11"
#endif

typedef struct trial {
    fg_context *context;
    fg_problem *problem;
    measurer *measurer;
    image good;
} trial;

static fg_context_options with_worker(const char *path)
{
    fg_context_options o = stub_options();
    o.worker = path;
    o.threads = 2;
    return o;
}

static fg_status start(trial *t, const char *path, double seconds, fg_error *error)
{
    fg_context_options o = with_worker(path);
    t->context = stub_context(&o);
    t->problem = stub_problem(t->context, CANDIDATE_PROBLEM);
    candidate_make(&t->good, t->context, t->problem, FAULT_none);
    const measurer_options m = { t->context, t->problem->problem, false, seconds, NULL };
    return measurer_new(&t->measurer, &m, error);
}

static void trial_new(trial *t, double seconds)
{
    fg_error error;
    fg_status status = start(t, FLASHGEN_COMMAND, seconds, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

/* Not a child is left, running or dead. */
static void trial_free(trial *t)
{
    measurer_free(t->measurer);
    image_free(&t->good);
    fg_problem_free(t->problem);
    fg_context_free(t->context);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

static void pass(trial *t, int id)
{
    fg_error error;
    double seconds = -1;
    fg_status status = measurer_try(t->measurer, &seconds, id, &t->good, &error);
    ck_assert_msg(status == FG_OK, "%d: %s", id, error.text);
    ck_assert_double_ge(seconds, 0);
    ck_assert_double_lt(seconds, 10);
}

static fg_status try_fault(trial *t, int id, candidate_fault fault, fg_error *error)
{
    image i;
    double seconds;
    *error = (fg_error){ FG_OK, -1, "" };
    candidate_make(&i, t->context, t->problem, fault);
    fg_status status = measurer_try(t->measurer, &seconds, id, &i, error);
    image_free(&i);
    return status;
}

static void time_all(trial *t, const int *ids, int count)
{
    fg_error error;
    double samples[64];
    int culprit;
    fg_status status = measurer_time(t->measurer, samples, ids, count, 3, &culprit, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
    for (int k = 0; k < 3 * count; k++) ck_assert(samples[k] > 0 && samples[k] < 10);
}

/* ---- Faults ---- */

typedef struct wrong {
    candidate_fault fault;
    const char *says;
} wrong;

static const wrong wrongs[] = {
    { FAULT_wrong_sampled, "o at b=0 h=0 i=300 column 1 is " },
    { FAULT_wrong_unsampled, "o at b=0 h=1 i=" },
    { FAULT_unwritten, "it did not write o[0][" },
    { FAULT_before, "it wrote before o" },
    { FAULT_behind, "it wrote behind o" },
    { FAULT_far_before, FAULTS },
    { FAULT_far_behind, FAULTS },
    { FAULT_workspace_before, "it wrote before its workspace" },
    { FAULT_workspace_behind, FAULTS },
    { FAULT_input, FAULTS },
    { FAULT_input_behind, FAULTS },
    { FAULT_crash, FAULTS },
    { FAULT_trap, "" },
    { FAULT_exit, "ended the process with exit code 7" },
    { FAULT_exit_well, "ended the process with exit code 0" },
    { FAULT_kill, "crashed by signal 9" },
    { FAULT_close, "" },
};

START_TEST(faults_cost_one_candidate)
{
    trial t;
    int files = stub_open_files();
    trial_new(&t, 20);
    pass(&t, 0);
    for (int k = 0; k < (int)(sizeof wrongs / sizeof *wrongs); k++) {
        fg_error error;
        fg_status status = try_fault(&t, k + 1, wrongs[k].fault, &error);
        ck_assert_msg(status == FG_WRONG && error.status == FG_WRONG, "%d, %d: %s", k, status,
                      error.text);
        ck_assert_msg(strstr(error.text, wrongs[k].says) != NULL, "%s: %s", wrongs[k].says,
                      error.text);
        pass(&t, 100 + k % 3);
    }
    const int ids[] = { 0, 102, 100, 101 };
    time_all(&t, ids, 4);
    trial_free(&t);
    ck_assert_int_eq(stub_open_files(), files);
}
END_TEST

START_TEST(hangs_are_ended)
{
    trial t;
    fg_error error;
    trial_new(&t, 5);
    double before = library_seconds();
    ck_assert_int_eq(try_fault(&t, 1, FAULT_hang, &error), FG_WRONG);
    ck_assert_str_eq(error.text, "hung: ended after 5000 ms");
    ck_assert_double_ge(library_seconds() - before, 4.9);
    ck_assert_double_lt(library_seconds() - before, 60);
    pass(&t, 2);
    trial_free(&t);
}
END_TEST

/* In their twelfth run. */
START_TEST(faults_while_timed)
{
    static const candidate_fault faults[] = { FAULT_late_crash, FAULT_late_hang };
    for (size_t k = 0; k < 2; k++) {
        trial t;
        fg_error error;
        double samples[3 * 20];
        int culprit = -1;
        const int ids[] = { 4, 9, 5 }, others[] = { 5, 4 };
        trial_new(&t, 6);
        pass(&t, 4);
        pass(&t, 5);
        ck_assert_int_eq(try_fault(&t, 9, faults[k], &error), FG_OK);
        fg_status status = measurer_time(t.measurer, samples, ids, 3, 20, &culprit, &error);
        ck_assert_int_eq(status, FG_WRONG);
        ck_assert_int_eq(culprit, 1);
        ck_assert_msg(strstr(error.text, k ? "hung: ended after 6000 ms" : FAULTS) != NULL, "%s",
                      error.text);
        time_all(&t, others, 2);
        status = measurer_time(t.measurer, samples, ids, 3, 20, &culprit, &error);
        ck_assert_int_eq(status, FG_REQUEST);
        trial_free(&t);
    }
}
END_TEST

/* It says what is no frame, and the worker's own answers come behind it. */
START_TEST(garbage_costs_the_candidate)
{
    trial t;
    fg_error error;
    trial_new(&t, 20);
    ck_assert_int_eq(try_fault(&t, 1, FAULT_print, &error), FG_WRONG);
    ck_assert_str_eq(error.text, "broke the worker: what it says makes no sense");
    pass(&t, 2);
    trial_free(&t);
}
END_TEST

/* ---- The worker itself ---- */

/* The only child of a process, or 0. */
static pid_t child_of(pid_t parent)
{
    char path[64];
    int child = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
    FILE *in = fopen(path, "r");
    if (in && fscanf(in, "%d", &child) != 1) child = 0;
    if (in) fclose(in);
    return child;
}

static bool runs(pid_t pid)
{
    char path[40], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *in = fopen(path, "r");
    if (!in) return false;
    if (fscanf(in, "%*d (%*[^)]) %c", &state) != 1) state = 'Z';
    fclose(in);
    return state != 'Z';
}

/* What was loaded is loaded again; no signal reaches us. */
START_TEST(a_worker_is_replaced)
{
    trial t;
    const int ids[] = { 1, 2, 3 };
    trial_new(&t, 20);
    for (int k = 0; k < 3; k++) pass(&t, ids[k]);
    pid_t first = child_of(getpid());
    ck_assert_int_gt(first, 0);
    kill(first, SIGKILL);
    while (runs(first)) usleep(1000);
    time_all(&t, ids, 3);
    pid_t second = child_of(getpid());
    ck_assert(second > 0 && second != first);
    kill(second, SIGKILL);
    while (runs(second)) usleep(1000);
    measurer_drop(t.measurer, 2);
    pass(&t, 4);
    kill(child_of(getpid()), SIGSTOP); /* as good as hung: ended all the same */
    trial_free(&t);
}
END_TEST

/* Though a candidate keeps it from looking. */
START_TEST(a_worker_ends_with_its_parent)
{
    int told[2];
    char byte;
    ck_assert_int_eq(pipe(told), 0);
    pid_t parent = fork();
    if (parent == 0) {
        trial t;
        fg_error error;
        trial_new(&t, 600);
        ck_assert_int_eq(write(told[1], "", 1), 1);
        try_fault(&t, 1, FAULT_hang, &error);
        _exit(0);
    }
    ck_assert_int_eq(read(told[0], &byte, 1), 1);
    pid_t worker = child_of(parent);
    usleep(500000);
    ck_assert(worker > 0 && runs(worker));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    for (int k = 0; k < 1000 && runs(worker); k++) usleep(10000);
    ck_assert(!runs(worker));
}
END_TEST

static fg_error start_fails(const char *path, double seconds)
{
    trial t = { .measurer = NULL };
    fg_error error;
    int files = stub_open_files();
    ck_assert_int_eq(start(&t, path, seconds, &error), FG_MACHINE);
    ck_assert_ptr_null(t.measurer);
    trial_free(&t);
    ck_assert_int_eq(stub_open_files(), files);
    return error;
}

static void assert_says(const fg_error *error, const char *what)
{
    ck_assert_msg(strstr(error->text, what) != NULL, "%s: %s", what, error->text);
}

static void write_script(const char *path, const char *body)
{
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fprintf(out, "#!/bin/sh\n%s\n", body);
    fclose(out);
    ck_assert_int_eq(chmod(path, 0700), 0);
}

START_TEST(what_is_no_worker)
{
    static const struct {
        const char *body, *says;
        double seconds;
    } scripts[] = {
        { "echo oh dear >&2; exit 3", " ended the process with exit code 3: oh dear", 60 },
        { "kill -9 $$", " crashed by signal 9", 60 },
        { "exec yes", " broke the worker: what it says makes no sense", 60 },
        { "exec cat", " broke the worker: what it says makes no sense", 60 },
        { "sleep 1000 & sleep 1000", " hung: ended after 1000 ms", 1 },
        { "exec <&- >&-; exec sleep 1000", " broke the worker: it says nothing more", 60 },
    };
    char path[100];
    in_folder();
    snprintf(path, sizeof path, "%s/a worker", folder);
    fg_error error = start_fails(path, 60);
    assert_says(&error, "/a worker, which is to measure, is no executable file: give the path");
    for (size_t k = 0; k < sizeof scripts / sizeof *scripts; k++) {
        write_script(path, scripts[k].body);
        error = start_fails(path, scripts[k].seconds);
        assert_says(&error, path);
        assert_says(&error, scripts[k].says);
    }
}
END_TEST

/* Found by its name in an absolute folder of PATH, whether that was asked for or nothing was. */
START_TEST(found_on_path)
{
    static const char *const names[] = { "flashgen", NULL };
    in_folder();
    ck_assert_int_eq(chdir(FLASHGEN_BINARY_DIR), 0);
    for (int k = 0; k < 2; k++) {
        trial t;
        setenv("PATH", ".::/usr/bin:/bin:" FLASHGEN_BINARY_DIR, 1);
        fg_error error;
        fg_status status = start(&t, names[k], 60, &error);
        ck_assert_msg(status == FG_OK, "%s", error.text);
        trial_free(&t);
        setenv("PATH", ".::/usr/bin:/bin", 1);
        error = start_fails(names[k], 60);
        assert_says(&error, k ? "there is no flashgen command beside the library or on PATH"
                              : "flashgen, which is to measure, is no executable file");
    }
}
END_TEST

static fg_status serve(const void *bytes, size_t size)
{
    int in[2], out[2];
    fg_error error;
    ck_assert(pipe(in) == 0 && pipe(out) == 0);
    ck_assert_int_eq((long)write(in[1], bytes, size), (long)size);
    close(in[1]);
    fg_status status = fg_worker(in[0], out[1], &error);
    close(in[0]);
    close(out[0]);
    close(out[1]);
    return status;
}

/* The other side distrusts too. */
START_TEST(requests_that_make_no_sense)
{
    unsigned char bytes[64] = { 0 };
    ck_assert_int_eq(serve("", 0), FG_OK);
    ck_assert_int_eq(serve(bytes, 7), FG_OK);
    for (int kind = 0; kind < 256; kind++) { /* nothing in it, or too little */
        bytes[0] = (unsigned char)kind;
        bytes[8] = 0;
        ck_assert_int_eq(serve(bytes, 16), FG_OK);
        bytes[8] = 48;
        ck_assert_int_eq(serve(bytes, 64), FG_OK);
    }
    memset(bytes, 0xff, sizeof bytes);
    ck_assert_int_eq(serve(bytes, 64), FG_REQUEST);
    bytes[15] = 0x7f;
    ck_assert_int_eq(serve(bytes, 64), FG_REQUEST);
}
END_TEST

/* ---- A conversation, written down beforehand ---- */

static void put(const frame_end *e, frame_kind kind, text numbers, const store_section *sections)
{
    const store_section parts[] = { { numbers.data, numbers.length },
                                    sections ? sections[0] : (store_section){ NULL, 0 },
                                    sections ? sections[1] : (store_section){ NULL, 0 } };
    ck_assert_int_eq(frame_send(e, kind, parts, 3), FRAME_RESULT_ok);
    text_free(&numbers);
}

static text numbers_of(int count, const int64_t *values)
{
    text t;
    text_init(&t, &memory_default);
    for (int k = 0; k < count; k++) wire_add_int(&t, values[k]);
    return t;
}

#define NUMBERS(...)                                                                               \
    numbers_of((int)(sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                        \
               (int64_t[]){ __VA_ARGS__ })

static void ask(const frame_end *e, const trial *t, const char *isa)
{
    text bytes, no = { .memory = &memory_default };
    store_section sections[image_sections];
    ck_assert_int_eq(image_write(&bytes, sections, &t->good, NULL), FG_OK);
    text start = NUMBERS(2);
    wire_add_text(&start, isa);
    wire_add_text(&start, ""); /* no GPU */
    wire_add_text(&start, "");
    wire_add_text(&start, CANDIDATE_PROBLEM);
    for (int k = 0; k < 5; k++) wire_add_int(&start, -1); /* sizes: the problem's own */
    put(e, FRAME_start, start, NULL);
    for (int id = 7; id < 9; id++) {
        put(e, FRAME_try, NUMBERS(id, (int64_t)sections[0].size), sections);
        put(e, FRAME_go, no, NULL);
    }
    put(e, FRAME_time, NUMBERS(2, 7, 8), NULL);
    for (int k = 0; k < 4; k++) put(e, FRAME_go, no, NULL);
    put(e, FRAME_drop, NUMBERS(8), NULL);
    put(e, FRAME_time, NUMBERS(1, 8), NULL);
    text_free(&bytes);
}

static void expect(const frame_end *e, frame_kind kind, size_t size)
{
    frame f;
    ck_assert_int_eq(frame_receive(&f, e, 4096, &memory_default), FRAME_RESULT_ok);
    ck_assert_int_eq(f.kind, kind);
    if (size) ck_assert_int_eq((long)f.size, (long)size);
    frame_free(&f, &memory_default);
}

/* Here, so that a sanitizer sees what is left of it. */
START_TEST(a_whole_conversation)
{
    trial t = { .measurer = NULL };
    fg_error error;
    FILE *in = tmpfile(), *out = tmpfile();
    ck_assert_int_eq(start(&t, "/no/such/worker", 1, &error), FG_MACHINE);
    frame_end e = { fileno(out), fileno(in), HUGE_VAL, NULL, NULL };
    ask(&e, &t, t.context->device.isa->name);
    lseek(fileno(in), 0, SEEK_SET);
    ck_assert_int_eq(fg_worker(fileno(in), fileno(out), &error), FG_OK);
    lseek(fileno(out), 0, SEEK_SET);
    expect(&e, FRAME_ready, 0);
    for (int k = 0; k < 2; k++) {
        expect(&e, FRAME_begin, 8);
        expect(&e, FRAME_tried, 8);
    }
    for (int k = 0; k < 4; k++) expect(&e, FRAME_begin, 8);
    expect(&e, FRAME_timed, 32);
    expect(&e, FRAME_failed, 0);
    frame f;
    ck_assert_int_eq(frame_receive(&f, &e, 4096, &memory_default), FRAME_RESULT_closed);
    fclose(in);
    fclose(out);
    trial_free(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        faults_cost_one_candidate,
        hangs_are_ended,
        faults_while_timed,
        garbage_costs_the_candidate,
        a_worker_is_replaced,
        a_worker_ends_with_its_parent,
        what_is_no_worker,
        found_on_path,
        requests_that_make_no_sense,
        a_whole_conversation,
        NULL,
    };
    return support_run("measurer", tests);
}
