/* The subcommands: one row each in main.c. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

typedef struct command {
    const char *name, *arguments; /* arguments: as --help shows them, without the options */
    const char *summary;          /* one line */
    const char *about;            /* what --help says below the options, or NULL */
    const option *options;
    /* What is left of argv: the words that are no options. `line`: set to a text for free() that the
     * error's position is in. */
    fg_status (*run)(void *choices, int argc, char **argv, char **line, fg_error *error);
    size_t choices_size; /* of the subcommand's choices, zeroed before */
    bool hidden;         /* from the list: nobody types it */
} command;

extern const command command_run, command_emit, command_bench, command_tune, command_store,
    command_info, command_worker;

/* The only word, a problem. */
fg_status command_problem(const char **out, int argc, char **argv, fg_error *error);

#endif
