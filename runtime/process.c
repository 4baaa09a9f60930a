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
#include <sys/mman.h>
#include <sys/socket.h>
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

static bool both_above_stdio(int out[2])
{
    out[0] = above_stdio(out[0]);
    out[1] = above_stdio(out[1]);
    if (out[0] >= 0 && out[1] >= 0) return true;
    if (out[0] >= 0) close(out[0]);
    if (out[1] >= 0) close(out[1]);
    return false;
}

static bool pipe_open(int out[2])
{
    return pipe2(out, O_CLOEXEC) == 0 && both_above_stdio(out);
}

static bool socket_open(int out[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) == 0 && both_above_stdio(out);
}

/* What becomes of 0, 1 and 2, and where; -1: /dev/null, NULL: here. */
typedef struct place {
    int stream[3];
    const char *folder;
} place;

static int actions_add(posix_spawn_file_actions_t *actions, const place *at)
{
    int e = at->folder ? posix_spawn_file_actions_addchdir_np(actions, at->folder) : 0;
    for (int fd = 0; fd < 3 && !e; fd++)
        e = at->stream[fd] < 0
                ? posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0)
                : posix_spawn_file_actions_adddup2(actions, at->stream[fd], fd);
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

enum { environment_max = 16, environment_path = 4096 };

typedef struct environment {
    char path[environment_path];
    char *entry[environment_max];
    int count;
} environment;

/* `fixed` as "NAME=value", `kept`: names of the host's; each up to NULL. */
static void environment_make(environment *out, char *const *fixed, const char *const *kept)
{
    static char locale[] = "LC_ALL=C";
    const char *host = secure_getenv("PATH");
    int length = snprintf(out->path, sizeof out->path, "PATH=%s", host ? host : "");
    if (!host || length >= (int)sizeof out->path)
        snprintf(out->path, sizeof out->path, "PATH=/usr/local/bin:/usr/bin:/bin");
    out->entry[0] = out->path;
    out->entry[1] = locale;
    out->count = 2;
    for (; *fixed && out->count < environment_max - 1; fixed++) out->entry[out->count++] = *fixed;
    for (; *kept && out->count < environment_max - 1; kept++) {
        char *value = secure_getenv(*kept);
        if (value) out->entry[out->count++] = value - strlen(*kept) - 1; /* "NAME=" is before it */
    }
    out->entry[out->count] = NULL;
}

static int spawn(pid_t *pid, char *const argv[], const place *at, const environment *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code) return code;
    code = posix_spawnattr_init(&attributes);
    if (code) goto out;
    code = actions_add(&actions, at);
    if (!code) code = attributes_set(&attributes);
    if (!code) code = posix_spawn(pid, argv[0], &actions, &attributes, argv, e->entry);
    posix_spawnattr_destroy(&attributes);
out:
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

/* The first bytes; the rest is dropped. */
static void keep_output(process_result *result, const char *bytes, ssize_t count)
{
    for (ssize_t k = 0; k < count && result->length < process_output_max; k++)
        result->output[result->length++] = bytes[k] ? bytes[k] : '?';
}

/* False at the end of the stream. */
static bool take_output(process_result *result, int fd)
{
    char bytes[4096];
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    keep_output(result, bytes, got);
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

/* Reads until the stream or the process ends: a grandchild may hold the stream open for ever. What it wrote
 * before it ended is still there then. */
static bool read_until(process_result *result, int fd, pid_t pid, double deadline)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    for (bool ended = false, all = false; !all;) {
        double left = deadline - library_seconds();
        if (left <= 0) return false;
        int pause = left * 1000 < look_ms ? (int)(left * 1000) + 1 : look_ms;
        int ready = poll(&wait, 1, ended ? 0 : pause);
        if (ready > 0 && !take_output(result, fd)) return true;
        all = ended && ready <= 0;
        if (ready == 0 && !ended) ended = has_ended(pid);
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

void process_run_raw(process_result *result, char *const argv[], const char *folder, double seconds)
{
    /* So that what a compiler leaves when it is killed goes with the folder. */
    char temporary[] = "TMPDIR=.";
    double deadline = library_seconds() + seconds;
    int stream[2];
    pid_t pid;
    environment variables;
    *result = (process_result){ .length = 0 };
    if (!pipe_open(stream)) {
        unstarted(result, errno);
        return;
    }
    environment_make(&variables, (char *[]){ temporary, NULL }, (const char *[]){ NULL });
    const place at = { { -1, stream[1], stream[1] }, folder };
    int e = spawn(&pid, argv, &at, &variables);
    close(stream[1]);
    if (e)
        unstarted(result, e);
    else
        reap(result, pid, read_until(result, stream[0], pid, deadline) && end_until(pid, deadline));
    close(stream[0]);
    result->output[result->length] = 0;
}

static void make_printable(process_result *result)
{
    for (size_t k = 0; k < result->length; k++) {
        unsigned char c = (unsigned char)result->output[k];
        bool printable = (c >= 32 && c < 127) || c == '\n' || c == '\t';
        if (!printable) result->output[k] = '?';
    }
}

void process_run(process_result *result, char *const argv[], const char *folder, double seconds)
{
    process_run_raw(result, argv, folder, seconds);
    make_printable(result);
}

/* ---- Beside us ---- */

int process_start(process *out, char *const argv[], const char *const *kept, char *const *own)
{
    int stream[2];
    environment variables;
    *out = (process){ .socket = -1, .errors = -1 };
    if (!socket_open(stream)) return errno;
    out->errors = above_stdio(memfd_create("flashgen worker", MFD_CLOEXEC));
    environment_make(&variables, own, kept);
    const place at = { { stream[1], stream[1], out->errors }, NULL };
    int e = spawn(&out->pid, argv, &at, &variables);
    close(stream[1]);
    out->socket = stream[0];
    if (!e) return 0;
    close(out->socket);
    if (out->errors >= 0) close(out->errors);
    return e;
}

bool process_has_ended(const process *p)
{
    return has_ended(p->pid);
}

void process_stop(process_result *result, process *p, double seconds)
{
    char bytes[process_output_max];
    *result = (process_result){ .length = 0 };
    reap(result, p->pid, end_until(p->pid, library_seconds() + seconds));
    if (p->errors >= 0) {
        keep_output(result, bytes, pread(p->errors, bytes, sizeof bytes, 0));
        close(p->errors);
    }
    result->output[result->length] = 0;
    make_printable(result);
    close(p->socket);
    *p = (process){ .socket = -1, .errors = -1 };
}
