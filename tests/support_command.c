#include "tests/support_command.h"
#include "tests/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { most_words = 40 };

static char test_folder[] = "/tmp/flashgen cli 'test'; $(true) XXXXXX";

void enter_folder(void)
{
    strcpy(strrchr(test_folder, ' ') + 1, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(test_folder));
    ck_assert_int_eq(chdir(test_folder), 0);
}

int count_files(void)
{
    int count = 0;
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void leave_folder(void)
{
    nftw(test_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int exit_code(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int stream_new(void)
{
    int stream = memfd_create("stream", MFD_CLOEXEC);
    ck_assert_int_ge(stream, 0);
    return stream;
}

char *stream_end(int stream)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", stream);
    char *text = support_read(path, NULL);
    close(stream);
    ck_assert_ptr_nonnull(text);
    return text;
}

int command_spawn(char *const argv[], int out, int err)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    setenv("FLASHGEN_STORE", "", 1);
    posix_spawn_file_actions_init(&actions);
    if (out < 0)
        posix_spawn_file_actions_addclose(&actions, 1);
    else
        posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    ck_assert_int_eq(posix_spawn(&child, argv[0], &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return exit_code(child);
}

/* The words up to NULL, and what a kernel is compiled with under a sanitizer. */
static void build_argv(const char **argv, const char *const *words)
{
    static const char *const compiling[] = { "run", "bench", "tune" };
    static const char *const automatic[] = { "run", "bench", "emit", "info" };
    int n = 0;
    argv[n++] = FLASHGEN_COMMAND;
    argv[n++] = *words;
    for (size_t k = 0; k < sizeof compiling / sizeof *compiling; k++) {
        if (strcmp(*words, compiling[k]) != 0) continue;
        argv[n++] = "--compiler-flags";
        argv[n++] = FLASHGEN_KERNEL_FLAGS;
    }
    for (size_t k = 0; k < sizeof automatic / sizeof *automatic; k++)
        if (strcmp(*words, automatic[k]) == 0) argv[n++] = "--target=c";
    while (*words && *++words) argv[n++] = *words;
    argv[n] = NULL;
}

outcome command_run_words(const char *const *words)
{
    const char *argv[most_words + 5];
    outcome o;
    int out = stream_new(), err = stream_new();
    build_argv(argv, words);
    o.code = command_spawn((char *const *)(uintptr_t)argv, out, err);
    o.out = stream_end(out);
    o.err = stream_end(err);
    return o;
}

/* ---- On a terminal ---- */

static int terminal_open(char *slave, size_t size, int columns)
{
    const struct winsize extent = { .ws_row = 24, .ws_col = (unsigned short)columns };
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(master, 0);
    ck_assert(grantpt(master) == 0 && unlockpt(master) == 0);
    ck_assert_int_eq(ptsname_r(master, slave, size), 0);
    ck_assert_int_eq(ioctl(master, TIOCSWINSZ, &extent), 0);
    return master;
}

/* A session of its own, for which the first terminal that it opens is the one whose Ctrl-C it gets. */
static pid_t terminal_spawn(char *const argv[], const char *slave, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child;
    setenv("FLASHGEN_STORE", "", 1);
    setenv("TERM", "xterm", 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, slave, O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    ck_assert_int_eq(posix_spawn(&child, argv[0], &actions, &attributes, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return child;
}

outcome command_on_terminal(const char *const *words, int columns, const char *until)
{
    enum { most = 1 << 20 };
    const char *argv[most_words + 5];
    char slave[64];
    outcome o = { .err = calloc(1, most) };
    size_t length = 0;
    ssize_t got;
    build_argv(argv, words);
    int master = terminal_open(slave, sizeof slave, columns), out = stream_new();
    pid_t child = terminal_spawn((char *const *)(uintptr_t)argv, slave, out);
    /* the read fails once the last who had it open has gone */
    while (length < most - 1 && (got = read(master, o.err + length, most - 1 - length)) > 0) {
        length += (size_t)got;
        if (!until || !strstr(o.err, until)) continue;
        ck_assert_int_eq(write(master, "\x03", 1), 1);
        until = NULL;
    }
    o.code = exit_code(child);
    close(master);
    o.out = stream_end(out);
    return o;
}

void outcome_free(outcome *o)
{
    free(o->out);
    free(o->err);
}

void assert_fails(outcome o, int code, const char *says)
{
    ck_assert_msg(o.code == code, "exit code %d, not %d: %s", o.code, code, o.err);
    ck_assert_msg(strncmp(o.err, "flashgen: ", 10) == 0, "%s", o.err);
    ck_assert_msg(strstr(o.err, says), "'%s' is not in: %s", says, o.err);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}

outcome assert_works(outcome o)
{
    ck_assert_msg(o.code == 0, "exit code %d: %s", o.code, o.err);
    ck_assert_str_eq(o.err, "");
    return o;
}

cJSON *json_of(outcome o)
{
    cJSON *object = cJSON_Parse(o.out);
    ck_assert_msg(object != NULL, "no JSON: %s", o.out);
    outcome_free(&o);
    return object;
}

double number_in(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "%s is no number", key);
    return item->valuedouble;
}

const char *text_in(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    ck_assert_msg(text != NULL, "%s is no text", key);
    return text;
}

/* ---- Files ---- */

void write_npy(const char *path, const char *descr, const char *order, const char *shape,
               const double *values, int count)
{
    char dict[200];
    FILE *out = fopen(path, "wb");
    int length =
        snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n", descr,
                 order, shape);
    const DLDataType type = { (uint8_t)(descr[1] == 'f' ? 2 : descr[1] == 'u'),
                              (uint8_t)(8 * (descr[2] - '0')), 1 };
    fwrite("\x93NUMPY\x01", 1, 8, out);
    fputc(length & 255, out);
    fputc(length >> 8, out);
    fwrite(dict, 1, (size_t)length, out);
    for (int n = 0; n < count; n++) {
        char element[8];
        element_find(type)->store(element, values[n]);
        fwrite(element, 1, type.bits / 8u, out);
    }
    fclose(out);
}

loaded load_npy(const char *path)
{
    fg_error error;
    loaded l;
    size_t size = 0;
    l.bytes = support_read(path, &size);
    ck_assert_msg(l.bytes != NULL, "there is no %s", path);
    fg_status s = npy_parse(&l.header, l.bytes, size, path, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    return l;
}

void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "wb");
    fputs(text, out);
    fclose(out);
}
