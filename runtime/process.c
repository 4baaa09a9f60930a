#include "runtime/process.h"
#include "runtime/library.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#define HAVE_CLOSEFROM __GLIBC_PREREQ(2, 34)
#else
#define HAVE_CLOSEFROM 0
#endif

/* The numbers 0 to 2 may be free in a host that closed them; the child has other uses for those. */
static int above_stdio(int fd)
{
    if (fd < 0 || fd > 2) return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return higher;
}

static bool pipe_open(int out[2])
{
    if (pipe2(out, O_CLOEXEC) != 0) return false;
    out[0] = above_stdio(out[0]);
    out[1] = above_stdio(out[1]);
    if (out[0] >= 0 && out[1] >= 0) return true;
    if (out[0] >= 0) close(out[0]);
    if (out[1] >= 0) close(out[1]);
    return false;
}

static int actions_add(posix_spawn_file_actions_t *actions, int output, const char *folder)
{
    int e = posix_spawn_file_actions_addchdir_np(actions, folder);
    if (!e) e = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (!e) e = posix_spawn_file_actions_adddup2(actions, output, 1);
    if (!e) e = posix_spawn_file_actions_adddup2(actions, output, 2);
#if HAVE_CLOSEFROM
    if (!e)
        e = posix_spawn_file_actions_addclosefrom_np(actions,
                                                     3); /* the host's, not all O_CLOEXEC */
#endif
    return e;
}

/* A group of its own, to be ended as one; signals as a fresh process has them. */
static int attributes_set(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    int e = posix_spawnattr_setflags(attributes, flags);
    if (!e) e = posix_spawnattr_setpgroup(attributes, 0);
    if (!e) e = posix_spawnattr_setsigmask(attributes, &none);
    if (!e) e = posix_spawnattr_setsigdefault(attributes, &all);
    return e;
}

/* PATH, because a compiler looks for its assembler and linker there; TMPDIR, so that what it leaves when it
 * is killed goes with the folder. */
static int spawn_in(pid_t *pid, char *const argv[], const posix_spawn_file_actions_t *actions,
                    const posix_spawnattr_t *attributes)
{
    char path[4096], locale[] = "LC_ALL=C", temporary[] = "TMPDIR=.";
    const char *host = secure_getenv("PATH");
    int length = snprintf(path, sizeof path, "PATH=%s", host ? host : "");
    if (!host || length >= (int)sizeof path)
        snprintf(path, sizeof path, "PATH=/usr/local/bin:/usr/bin:/bin");
    char *const environment[] = { path, locale, temporary, NULL };
    return posix_spawn(pid, argv[0], actions, attributes, argv, environment);
}

static int spawn(pid_t *pid, char *const argv[], const char *folder, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int e = posix_spawn_file_actions_init(&actions);
    if (e) return e;
    e = posix_spawnattr_init(&attributes);
    if (e) goto out;
    e = actions_add(&actions, output, folder);
    if (!e) e = attributes_set(&attributes);
    if (!e) e = spawn_in(pid, argv, &actions, &attributes);
    posix_spawnattr_destroy(&attributes);
out:
    posix_spawn_file_actions_destroy(&actions);
    return e;
}

/* Keeps the first bytes, drops the rest. False at the end of the stream. */
static bool take_output(process_result *result, int fd)
{
    char bytes[4096];
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    for (ssize_t k = 0; k < got && result->length < process_output_max; k++) {
        unsigned char c = (unsigned char)bytes[k];
        bool printable = (c >= 32 && c < 127) || c == '\n' || c == '\t';
        result->output[result->length++] = printable ? (char)c : '?';
    }
    return got > 0;
}

/* Without reaping it: its number stays its own. ECHILD, where the host ignores SIGCHLD or waits for every
 * child itself, counts as ended. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };
    int e;
    do e = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG);
    while (e != 0 && errno == EINTR);
    return e != 0 || info.si_pid == pid;
}

enum { look_ms = 50 };

/* Reads until the stream or the process ends: a grandchild may hold the stream open for ever. */
static bool read_until(process_result *result, int fd, pid_t pid, double deadline)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    for (bool ended = false; !ended;) {
        double left = deadline - library_seconds();
        if (left <= 0) return false;
        int ready = poll(&wait, 1, left * 1000 < look_ms ? (int)(left * 1000) + 1 : look_ms);
        if (ready > 0 && !take_output(result, fd)) return true;
        if (ready == 0) ended = has_ended(pid);
    }
    return true;
}

/* The process may have closed its output and gone on. */
static bool end_until(pid_t pid, double deadline)
{
    for (long pause = 50000; !has_ended(pid); pause = pause < 10000000 ? pause * 2 : pause) {
        if (library_seconds() >= deadline) return false;
        nanosleep(&(struct timespec){ .tv_nsec = pause }, NULL);
    }
    return true;
}

static void reap(process_result *result, pid_t pid, bool in_time)
{
    int status = 0;
    pid_t got = 0;
    siginfo_t info;
    /* Only while it is a child of ours, running or not yet reaped, does the number still mean this group. */
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0) kill(-pid, SIGKILL);
    do got = waitpid(pid, &status, 0);
    while (got < 0 && errno == EINTR);
    if (!in_time)
        result->end = PROCESS_late;
    else if (got == pid && WIFSIGNALED(status))
        result->end = PROCESS_killed, result->code = WTERMSIG(status);
    else
        result->end = PROCESS_exited, result->code = got == pid ? WEXITSTATUS(status) : -1;
}

static void unstarted(process_result *result, int code)
{
    result->end = PROCESS_unstarted;
    result->code = code;
}

void process_run(process_result *result, char *const argv[], const char *folder, double seconds)
{
    double deadline = library_seconds() + seconds;
    int stream[2];
    pid_t pid;
    *result = (process_result){ .length = 0 };
    if (!pipe_open(stream)) {
        unstarted(result, errno);
        return;
    }
    int e = spawn(&pid, argv, folder, stream[1]);
    close(stream[1]);
    if (e)
        unstarted(result, e);
    else
        reap(result, pid, read_until(result, stream[0], pid, deadline) && end_until(pid, deadline));
    close(stream[0]);
    result->output[result->length] = 0;
}
