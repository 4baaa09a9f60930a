/* Running programs: exits, signals, deadlines, output, what they inherit. */
#include "runtime/folder.h"
#include "runtime/library.h"
#include "runtime/process.h"
#include "tests/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static process_result result;

static void run_in(const char *folder, const char *script, double seconds)
{
    char shell[] = "/bin/sh", c[] = "-c", *copy = strdup(script);
    char *const argv[] = { shell, c, copy, NULL };
    process_run(&result, argv, folder, seconds);
    free(copy);
}

static void run(const char *script, double seconds)
{
    run_in("/", script, seconds);
}

START_TEST(exit_codes)
{
    run("exit 0", 10);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq(result.code, 0);
    run("exit 7", 10);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq(result.code, 7);
}
END_TEST

START_TEST(killed)
{
    run("echo before; kill -9 $$", 10);
    ck_assert_int_eq(result.end, PROCESS_killed);
    ck_assert_int_eq(result.code, 9);
    ck_assert_str_eq(result.output, "before\n");
}
END_TEST

START_TEST(unstarted)
{
    char name[] = "/no/such/program";
    char *const argv[] = { name, NULL };
    process_run(&result, argv, "/", 10);
    ck_assert_int_eq(result.end, PROCESS_unstarted);
    ck_assert_int_eq(result.code, ENOENT);
    run_in("/no/such/folder", "exit 0", 10);
    ck_assert_int_eq(result.end, PROCESS_unstarted);
}
END_TEST

START_TEST(output_is_bounded_and_printable)
{
    run("echo out; echo err >&2; printf '\\000\\377\\033[1m'; head -c 3000000 /dev/zero", 60);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq((int)result.length, process_output_max);
    ck_assert(strncmp(result.output, "out\nerr\n???[1m???", 17) == 0);
    ck_assert_int_eq((int)strlen(result.output), process_output_max);
}
END_TEST

START_TEST(output_as_it_came)
{
    char shell[] = "/bin/sh", c[] = "-c",
         script[] = "printf 'a\\000\\303\\251\\033\n'; "
                    "head -c 3000000 /dev/zero";
    char *const argv[] = { shell, c, script, NULL };
    process_run_raw(&result, argv, "/", 60);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq((int)result.length, process_output_max);
    ck_assert(strncmp(result.output, "a?\303\251\033\n??", 8) == 0);
    ck_assert_int_eq((int)strlen(result.output), process_output_max);
}
END_TEST

/* However it hangs, it is over soon after the deadline. */
static void assert_late(const char *script)
{
    double start = library_seconds();
    run(script, 0.3);
    ck_assert_msg(result.end == PROCESS_late, "%s: %d", script, result.end);
    ck_assert_double_ge(library_seconds() - start, 0.29);
    ck_assert_double_lt(library_seconds() - start, 5);
}

START_TEST(deadline)
{
    assert_late("sleep 60");
    assert_late("exec >&- 2>&-; sleep 60");
    assert_late("trap '' TERM INT HUP; while :; do :; done");
    assert_late("yes");
}
END_TEST

/* Reaped, or about to be. */
static void assert_gone(int child)
{
    char path[40], state = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    for (int wait = 0; wait < 200; wait++, usleep(10000)) {
        FILE *in = fopen(path, "r");
        if (!in) return; /* gone and reaped */
        if (fscanf(in, "%*d (%*[^)]) %c", &state) != 1) state = 0;
        fclose(in);
        if (state == 'Z') return;
    }
    ck_abort_msg("%d lives on (%c)", child, state);
}

/* A grandchild that keeps the stream open neither delays us nor lives on. */
START_TEST(grandchildren_end)
{
    double start = library_seconds();
    run("sleep 60 & echo $!", 30);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_double_lt(library_seconds() - start, 5);
    int child = atoi(result.output);
    ck_assert_int_gt(child, 0);
    assert_gone(child);
}
END_TEST

START_TEST(environment_is_fixed)
{
    setenv("SECRET", "1", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    setenv("PATH", "/usr/bin:/bin", 1);
    run("exec /usr/bin/env", 10);
    ck_assert_msg(strstr(result.output, "PATH=/usr/bin:/bin\n") != NULL, "%s", result.output);
    ck_assert(strstr(result.output, "LC_ALL=C\n") != NULL);
    ck_assert(strstr(result.output, "TMPDIR=.\n") != NULL);
    ck_assert(strstr(result.output, "SECRET") == NULL);
}
END_TEST

START_TEST(inherits_no_files)
{
    int leaked = dup(1); /* not close-on-exec */
    ck_assert_int_ge(leaked, 3);
    run("ls /proc/self/fd | tr '\\n' ' '; read x || echo empty", 10);
    /* ls has one more open: the folder it lists */
    ck_assert_str_eq(result.output, "0 1 2 3 empty\n");
    close(leaked);
}
END_TEST

START_TEST(works_without_standard_streams)
{
    pid_t child = fork();
    if (child == 0) {
        close(0);
        close(1);
        close(2);
        run("echo hello", 10);
        _exit(result.end == PROCESS_exited && strcmp(result.output, "hello\n") == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* A host that ignores SIGCHLD cannot learn exit codes, but is not stuck; the program has default signals. */
START_TEST(host_signal_settings)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    run("kill -PIPE $$; echo survived", 10);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq(result.code, -1);
    ck_assert_str_eq(result.output, "");
    signal(SIGCHLD, SIG_DFL);
    run("kill -PIPE $$", 10);
    ck_assert_int_eq(result.end, PROCESS_killed);
    ck_assert_int_eq(result.code, SIGPIPE);
}
END_TEST

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}

START_TEST(leaks_no_files)
{
    int before = open_files();
    for (int k = 0; k < 20; k++) run(k % 2 ? "exit 0" : "sleep 60", 0.01);
    ck_assert_int_eq(open_files(), before);
}
END_TEST

/* ---- Folders and files ---- */

START_TEST(folder_is_private_and_goes)
{
    char *folder = NULL;
    struct stat info;
    ck_assert_int_eq(folder_new(&folder, &memory_default, NULL), FG_OK);
    ck_assert_int_eq(stat(folder, &info), 0);
    ck_assert_int_eq(info.st_mode & 07777, 0700);
    char path[4200];
    snprintf(path, sizeof path, "%s/a/b", folder);
    run_in(folder, "mkdir -p a/b; echo 1 > a/b/c; ln -s / root; mkfifo f", 10);
    ck_assert_int_eq(stat(path, &info), 0);
    char *name = strdup(folder);
    folder_remove(&memory_default, folder);
    ck_assert_int_eq(stat(name, &info), -1);
    ck_assert_int_eq(stat("/bin/sh", &info), 0); /* the link was not followed */
    free(name);
}
END_TEST

START_TEST(folder_without_a_place)
{
    char *folder = NULL;
    fg_error error;
    setenv("TMPDIR", "/no/such/folder", 1);
    ck_assert_int_eq(folder_new(&folder, &memory_default, &error), FG_MACHINE);
    ck_assert_ptr_null(folder);
    ck_assert_str_eq(error.text,
                     "cannot make a folder under /no/such/folder: No such file or directory");
    setenv("TMPDIR", "relative", 1); /* would depend on where the host is */
    ck_assert_int_eq(folder_new(&folder, &memory_default, &error), FG_OK);
    ck_assert(strncmp(folder, "/tmp/", 5) == 0);
    folder_remove(&memory_default, folder);
}
END_TEST

START_TEST(files_are_distrusted)
{
    char *folder = NULL, path[4200];
    void *data;
    size_t size;
    ck_assert_int_eq(folder_new(&folder, &memory_default, NULL), FG_OK);
    run_in(folder, "mkfifo fifo; ln -s /bin/sh link; : > empty; mkdir folder; echo 123 > good", 10);
    static const char *const bad[] = { "fifo", "link", "empty", "folder", "missing" };
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        snprintf(path, sizeof path, "%s/%s", folder, bad[k]);
        ck_assert_int_eq(file_read(&data, &size, 100, &memory_default, path, NULL), FG_REQUEST);
        ck_assert_ptr_null(data);
    }
    snprintf(path, sizeof path, "%s/good", folder);
    ck_assert_int_eq(file_read(&data, &size, 3, &memory_default, path, NULL), FG_REQUEST);
    ck_assert_int_eq(file_read(&data, &size, 4, &memory_default, path, NULL), FG_OK);
    ck_assert_int_eq((int)size, 4);
    ck_assert_mem_eq(data, "123\n", 4);
    ck_assert_int_eq(file_write(path, "x", 1, NULL),
                     FG_MACHINE); /* never over something that is there */
    memory_free(&memory_default, data, size);
    folder_remove(&memory_default, folder);
}
END_TEST

/* ---- Beside us ---- */

static const char *const kept[] = { "KEPT", "UNSET", NULL };
static char own_one[] = "OWN=one", own_two[] = "TWO=2";
static char *const own[] = { own_one, own_two, NULL };

static void start(process *p, const char *script)
{
    char shell[] = "/bin/sh", c[] = "-c", *copy = strdup(script);
    char *const argv[] = { shell, c, copy, NULL };
    ck_assert_int_eq(process_start(p, argv, kept, own), 0);
    free(copy);
}

static void hear(const process *p, const char *expected)
{
    char bytes[100];
    size_t length = 0;
    ssize_t got;
    while (length < strlen(expected) &&
           (got = read(p->socket, bytes + length, sizeof bytes - 1 - length)) > 0)
        length += (size_t)got;
    bytes[length] = 0;
    ck_assert_str_eq(bytes, expected);
}

START_TEST(conversation)
{
    process p;
    int lowest = dup(0);
    close(lowest);
    setenv("KEPT", "a b", 1);
    setenv("SECRET", "1", 1);
    start(
        &p,
        "read x; echo \"$x $KEPT $SECRET $UNSET $OWN $TWO.\"; echo o\033ops >&2; read x; echo end");
    ck_assert_int_eq(write(p.socket, "hello\n", 6), 6);
    hear(&p, "hello a b   one 2.\n");
    ck_assert(!process_has_ended(&p));
    ck_assert_int_eq(write(p.socket, "\n", 1), 1);
    hear(&p, "end\n");
    process_stop(&result, &p, 10);
    ck_assert_int_eq(result.end, PROCESS_exited);
    ck_assert_int_eq(result.code, 0);
    ck_assert_str_eq(result.output, "o?ops\n");
    ck_assert_int_eq(dup(0), lowest); /* all is closed */
}
END_TEST

START_TEST(stopped_with_its_group)
{
    process p;
    int child = 0;
    char told[20] = "";
    start(&p, "trap '' TERM HUP; sleep 60 & echo $!; wait; sleep 60");
    ck_assert_int_gt((int)read(p.socket, told, sizeof told - 1), 1);
    child = atoi(told);
    double before = library_seconds();
    process_stop(&result, &p, 0.2);
    ck_assert_double_lt(library_seconds() - before, 10);
    ck_assert_int_eq(result.end, PROCESS_late);
    ck_assert_int_gt(child, 1);
    assert_gone(child);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(ended_before_it_is_stopped)
{
    process p;
    start(&p, "kill -9 $$");
    while (!process_has_ended(&p)) usleep(1000);
    process_stop(&result, &p, 0);
    ck_assert_int_eq(result.end, PROCESS_killed);
    ck_assert_int_eq(result.code, 9);
    char name[] = "/no/such/program";
    char *const argv[] = { name, NULL };
    ck_assert_int_eq(process_start(&p, argv, kept, own), ENOENT);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        exit_codes,
        killed,
        unstarted,
        output_is_bounded_and_printable,
        output_as_it_came,
        deadline,
        grandchildren_end,
        environment_is_fixed,
        inherits_no_files,
        works_without_standard_streams,
        host_signal_settings,
        leaks_no_files,
        folder_is_private_and_goes,
        folder_without_a_place,
        files_are_distrusted,
        conversation,
        stopped_with_its_group,
        ended_before_it_is_stopped,
        NULL,
    };
    return support_run("process", tests);
}
