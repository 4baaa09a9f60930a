/* Running a program: argv, never a shell; a small fixed environment; a deadline. */
#ifndef RUNTIME_PROCESS_H
#define RUNTIME_PROCESS_H

#include "gen/core/text.h"

enum { process_output_max = 1600 }; /* leaves room for a sentence in an fg_error */

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

#endif
