/* Whole files in, whole files out. */
#ifndef CLI_FILE_H
#define CLI_FILE_H

#include "fault.h"

#include <stdbool.h>

/* The file's bytes and a 0 behind them, for the caller to free. */
fg_status file_load(char **out, size_t *size, const char *path, fg_error *error);

/* A file being written: into a temporary beside the target, which it replaces when all is done. A target
 * that is no regular file (a device, a pipe) is written straight. */
typedef struct file_output {
    char *target, *temporary; /* temporary: NULL when written straight */
    int fd;
} file_output;

#define FILE_OUTPUT_INIT                                                                           \
    {                                                                                              \
        NULL, NULL, -1                                                                             \
    }

fg_status file_create(file_output *out, const char *path, fg_error *error);
fg_status file_add(file_output *out, const void *bytes, size_t size, fg_error *error);
/* Everything is on the file system, under the temporary's name still. */
fg_status file_finish(file_output *out, fg_error *error);
/* The temporary becomes the target. */
fg_status file_publish(file_output *out, fg_error *error);
/* Frees, and removes what was not published. */
void file_discard(file_output *out);

#endif
