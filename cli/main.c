/* flashgen, the command: written on the public header, as any user's program. */
#include "commands.h"
#include "interrupt.h"
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const command *const commands[] = { &command_run,   &command_emit,  &command_bench,
                                           &command_tune,  &command_store, &command_info,
                                           &command_worker };

enum { command_count = sizeof commands / sizeof *commands };

static const command *command_find(const char *name)
{
    for (int k = 0; k < command_count; k++)
        if (strcmp(commands[k]->name, name) == 0) return commands[k];
    return NULL;
}

/* "run, emit or info" */
static const char *command_names(char *out, size_t size)
{
    int shown = 0, told = 0;
    size_t length = 0;
    for (int k = 0; k < command_count; k++) shown += !commands[k]->hidden;
    for (int k = 0; k < command_count && length < size; k++) {
        if (commands[k]->hidden) continue;
        const char *before = told == 0 ? "" : told + 1 == shown ? " or " : ", ";
        length += (size_t)snprintf(out + length, size - length, "%s%s", before, commands[k]->name);
        told++;
    }
    return out;
}

fg_status command_problem(const char **out, int argc, char **argv, fg_error *error)
{
    if (argc == 0)
        return fault(error, FG_REQUEST,
                     "a problem is missing, as 'dtype=f32 b=1 hq=8 sq=1024 d=64 causal'");
    if (argc > 1)
        return fault(error, FG_REQUEST, "'%s' is one word too many: quote the problem as a whole",
                     argv[1]);
    *out = argv[0];
    return FG_OK;
}

static void print_help(void)
{
    printf(
        "flashgen %s: writes, compiles, checks, tunes and runs attention kernels for exactly one "
        "problem.\n\n",
        fg_version());
    for (int k = 0; k < command_count; k++)
        if (!commands[k]->hidden)
            printf("  flashgen %-5s %-28s  %s\n", commands[k]->name, commands[k]->arguments,
                   commands[k]->summary);
    printf("\nflashgen COMMAND --help says more; flashgen --version prints the version.\n"
           "\nA problem is one line of key=value, as 'dtype=bf16 b=2 hq=32 hkv=8 sq=2048 d=128 "
           "causal'.\n"
           "Its keys, in any order, and what holds where they are left out:\n\n");
    for (const key_help *k = key_helps; k->keys; k++) printf("  %-24s  %s\n", k->keys, k->what);
    printf("\nExit codes: 0 right; 1 a check failed; 2 the request is wrong; 3 this machine "
           "cannot; 4 internal;\n"
           "128+N ended by signal N.\n");
}

static void print_command_help(const command *c)
{
    printf("Usage: flashgen %s%s%s%s\n\n%s.\n\n", c->name, *c->arguments ? " " : "", c->arguments,
           c->options->name ? " [OPTION]..." : "", c->summary);
    options_help(c->options);
    if (strstr(c->arguments, "PROBLEM")) printf("\nflashgen --help lists a problem's keys.\n");
    if (c->about) printf("\n%s", c->about);
}

static bool asks_for(const char *word, int argc, char **argv)
{
    for (int k = 0; k < argc; k++) {
        if (strcmp(argv[k], "--") == 0) return false;
        if (strcmp(argv[k], word) == 0) return true;
    }
    return false;
}

static fg_status run_command(const command *c, int argc, char **argv, char **line, fg_error *error)
{
    void *choices = calloc(1, c->choices_size);
    if (!choices) return fault_memory(error);
    fg_status s = options_read(c->options, choices, &argc, argv, error);
    if (s == FG_OK) s = c->run(choices, argc, argv, line, error);
    free(choices);
    return s;
}

static fg_status dispatch(int argc, char **argv, char **line, fg_error *error)
{
    char names[200];
    if (argc < 2)
        return fault(error, FG_REQUEST, "a command is missing: %s (see --help)",
                     command_names(names, sizeof names));
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return FG_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("flashgen %s\n", fg_version());
        return FG_OK;
    }
    const command *c = command_find(argv[1]);
    if (!c)
        return fault(error, FG_REQUEST, "'%.200s' is no command: %s (see --help)", argv[1],
                     command_names(names, sizeof names));
    if (!asks_for("--help", argc - 2, argv + 2))
        return run_command(c, argc - 2, argv + 2, line, error);
    print_command_help(c);
    return FG_OK;
}

/* A closed standard descriptor would be given to the next file that is opened, and be written into. In its
 * place comes one that cannot be written, so that writing to it is noticed. */
static void hold_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd) _exit(3);
}

/* Whether all that was printed has arrived. */
static fg_status finish_output(fg_error *error)
{
    int code = 0;
    if (ferror(stdout)) code = errno ? errno : EIO;
    if (fflush(stdout) || fclose(stdout)) code = errno ? errno : EIO;
    return code
               ? fault(error, FG_MACHINE, "cannot write to the standard output: %s", strerror(code))
               : FG_OK;
}

int main(int argc, char **argv)
{
    fg_error error = { FG_OK, -1, "" };
    char *line = NULL;
    hold_descriptors();
    fg_status s = dispatch(argc, argv, &line, &error);
    if (s != FG_OK) fault_print(&error, line);
    free(line);
    fg_status output = finish_output(&error);
    if (output != FG_OK && s == FG_OK) fault_print(&error, NULL);
    interrupt_end();
    return fault_exit_code(s != FG_OK ? s : output);
}
