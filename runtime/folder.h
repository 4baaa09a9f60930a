/* A private temporary folder, and a whole file in one call. */
#ifndef RUNTIME_FOLDER_H
#define RUNTIME_FOLDER_H

#include "gen/core/text.h"

/* Makes one under $TMPDIR or /tmp, open to this user alone; its path in *out, to be freed by folder_remove. */
fg_status folder_new(char **out, const memory *m, fg_error *error);
/* With all that is in it. NULL is fine. */
void folder_remove(const memory *m, char *folder);

/* The path of `name` in `folder`, freed as a text is: by memory_free of its length and 1. NULL: no memory. */
char *folder_path(const memory *m, const char *folder, const char *name);

/* errno's sentence in C's locale. */
const char *errno_text(int code);

fg_status file_write(const char *path, const void *data, size_t size, fg_error *error);
/* Writes all of it; false with errno set. */
bool fd_write(int fd, const void *data, size_t size);
/* A regular file's bytes. FG_REQUEST when there is none, or it is empty or larger than `limit`. */
fg_status file_read(void **data, size_t *size, size_t limit, const memory *m, const char *path,
                    fg_error *error);

#endif
