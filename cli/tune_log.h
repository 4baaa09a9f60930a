/* What a search measures and rejects, as JSON lines at the end of a file. */
#ifndef CLI_TUNE_LOG_H
#define CLI_TUNE_LOG_H

#include "fault.h"

typedef struct tune_log {
    const char *path; /* NULL: nothing is logged */
    int fd;
    fg_error error; /* what went wrong: from there on nothing is written */
} tune_log;

#define TUNE_LOG_INIT                                                                              \
    {                                                                                              \
        0, -1,                                                                                     \
        {                                                                                          \
            FG_OK, -1, ""                                                                          \
        }                                                                                          \
    }

/* `path` may be NULL. */
fg_status tune_log_open(tune_log *log, const char *path, fg_error *error);
void tune_log_event(tune_log *log, const char *problem, const fg_event *event);
/* With what went wrong in between. */
fg_status tune_log_close(tune_log *log, fg_error *error);

#endif
