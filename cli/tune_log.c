#include "tune_log.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One write a line, so that those who append to the same file do not mix theirs into it. */
static void put(tune_log *log, const char *bytes, size_t size)
{
    while (size > 0 && log->error.status == FG_OK) {
        ssize_t wrote = write(log->fd, bytes, size);
        if (wrote < 0 && errno != EINTR) fault_errno(&log->error, "write", log->path, errno);
        if (wrote < 0) continue;
        bytes += wrote;
        size -= (size_t)wrote;
    }
}

/* A line that a crash or a full disk cut short must not run into ours. */
static void end_last_line(tune_log *log)
{
    struct stat info;
    char last = '\n';
    if (fstat(log->fd, &info) || !S_ISREG(info.st_mode) || info.st_size == 0) return;
    if (pread(log->fd, &last, 1, info.st_size - 1) == 1 && last != '\n') put(log, "\n", 1);
}

fg_status tune_log_open(tune_log *log, const char *path, fg_error *error)
{
    *log = (tune_log)TUNE_LOG_INIT;
    if (!path) return FG_OK;
    log->path = path;
    log->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (log->fd < 0) return fault_errno(error, "write", path, errno);
    end_last_line(log);
    return FG_OK;
}

static bool fill(cJSON *object, const char *problem, const fg_event *e)
{
    bool measured = e->kind == FG_EVENT_MEASURED;
    bool ok = object && cJSON_AddStringToObject(object, "problem", problem) &&
              cJSON_AddStringToObject(object, "config", e->config ? e->config : "") &&
              cJSON_AddStringToObject(object, "status", measured ? "measured" : "rejected");
    if (ok && measured)
        ok = cJSON_AddNumberToObject(object, "runs", (double)e->count) &&
             cJSON_AddNumberToObject(object, "seconds", e->seconds) &&
             cJSON_AddNumberToObject(object, "spread", e->spread);
    else if (ok)
        ok = cJSON_AddStringToObject(object, "reason", e->text ? e->text : "");
    return ok && cJSON_AddNumberToObject(object, "elapsed", e->elapsed);
}

void tune_log_event(tune_log *log, const char *problem, const fg_event *e)
{
    if (!log->path || log->error.status != FG_OK) return;
    if (e->kind != FG_EVENT_MEASURED && e->kind != FG_EVENT_REJECTED) return;
    cJSON *object = cJSON_CreateObject();
    char *line = fill(object, problem, e) ? cJSON_PrintUnformatted(object) : NULL;
    size_t length = line ? strlen(line) : 0;
    if (line) {
        line[length] = '\n'; /* in the place of the 0 */
        put(log, line, length + 1);
    } else {
        fault_memory(&log->error);
    }
    cJSON_free(line);
    cJSON_Delete(object);
}

fg_status tune_log_close(tune_log *log, fg_error *error)
{
    if (log->fd >= 0 && close(log->fd) && log->error.status == FG_OK)
        fault_errno(&log->error, "write", log->path, errno);
    log->fd = -1;
    if (log->error.status != FG_OK) *error = log->error;
    return log->error.status;
}
