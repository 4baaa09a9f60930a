/* Running the built command in a folder of its own, and the files it takes and leaves. */
#ifndef TESTS_SUPPORT_COMMAND_H
#define TESTS_SUPPORT_COMMAND_H

#include "cli/npy.h"

#include <cjson/cJSON.h>

/* A new folder, with a name that a shell would trip over, becomes the working directory; and goes with its
 * files. */
void enter_folder(void);
void leave_folder(void);
int count_files(void); /* there, hidden ones and what is in folders aside */

typedef struct outcome {
    int code; /* exit code, or 128 + signal */
    char *out, *err;
} outcome;

/* A file without a name, which no other program's output gets into; and its text, when it is done with. */
int stream_new(void);
char *stream_end(int stream);
/* argv's exit code, with these as its stdout (negative: closed) and its stderr. */
int command_spawn(char *const argv[], int out, int err);
/* Runs the command with these words up to NULL; kernels carry the sanitizer of this program, and without
 * --store nothing is kept. Without --target it is for processors, also where there is a GPU. */
outcome command_run_words(const char *const *words);
#define RUN(...) command_run_words((const char *const[]){ __VA_ARGS__, NULL })
/* The same with a terminal of so many columns as its stdin and stderr; `err` is all that it was sent. Ctrl-C
 * is pressed there once `until` was (NULL: never). */
outcome command_on_terminal(const char *const *words, int columns, const char *until);
void outcome_free(outcome *o);

/* Ended with this exit code, one sentence on stderr that has `says`, nothing on stdout. Frees it. */
void assert_fails(outcome o, int code, const char *says);
/* Ended with 0 and an empty stderr. */
outcome assert_works(outcome o);
/* Its stdout as JSON; frees it. */
cJSON *json_of(outcome o);
double number_in(const cJSON *object, const char *key);
const char *text_in(const cJSON *object, const char *key);

/* A .npy of any descr, from doubles. */
void write_npy(const char *path, const char *descr, const char *order, const char *shape,
               const double *values, int count);
void write_text(const char *path, const char *text);

typedef struct loaded {
    char *bytes;
    npy_header header;
} loaded;

loaded load_npy(const char *path);

#endif
