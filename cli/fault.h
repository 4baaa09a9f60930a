/* Sentences about what went wrong. */
#ifndef CLI_FAULT_H
#define CLI_FAULT_H

#include <flashgen.h>

/* Fills *error with a sentence and returns `status`. */
fg_status fault(fg_error *error, fg_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
fg_status fault_memory(fg_error *error);
/* FG_REQUEST for what the user named wrongly (no such file), FG_MACHINE for what the machine refuses. */
fg_status fault_errno(fg_error *error, const char *verb, const char *path, int code);

/* "flashgen: sentence" on stderr; below it, where the error has a position in `text`, that place. */
void fault_print(const fg_error *error, const char *text);

/* The command's exit code for a status. */
int fault_exit_code(fg_status status);

#endif
