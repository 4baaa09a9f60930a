/* Running programs: argv, never a shell; a small fixed environment; deadlines. */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include "gen/core/text.h"

#include <sys/types.h>

enum { process_output_max = 16384 };

typedef enum process_end {
    PROCESS_exited,    /* with `code`; -1 when the host's own handling of children ate it */
    PROCESS_killed,    /* by signal `code` */
    PROCESS_late,      /* past the deadline, and ended by us */
    PROCESS_unstarted, /* `code` is the errno */
} process_end;

typedef struct process_result {
    process_end end;
    int code;
    size_t length;                       /* of output */
    char output[process_output_max + 1]; /* the first of stdout and stderr, printable */
} process_result;

/* Runs argv[0] (an absolute path) in `folder` with an empty stdin, and waits. Whatever it started and left
 * running in its process group is ended too. */
void process_run(process_result *result, char *const argv[], const char *folder, double seconds);
/* The same, with the output as it came, but for bytes of 0: it may hold paths. */
void process_run_raw(process_result *result, char *const argv[], const char *folder,
                     double seconds);

/* A program that goes on beside us. */
typedef struct process {
    pid_t pid;
    int socket; /* its standard input and output */
    int errors; /* a file in memory, its standard error; -1: it has none */
} process;

/* Starts argv[0] (an absolute path) where we are, in a process group of its own. Of the environment it gets
 * PATH, what `kept` names, and `own`, as "NAME=value"; each up to NULL. 0 or an errno. */
int process_start(process *out, char *const argv[], const char *const *kept, char *const *own);
/* Without waiting. */
bool process_has_ended(const process *p);
/* Gives it so long to end, then ends it with all that is in its process group; output: of its standard
 * error. Nothing is left of it. */
void process_stop(process_result *result, process *p, double seconds);

#endif
