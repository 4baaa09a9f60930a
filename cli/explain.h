/* What a search learned: what removed points of the space, what each axis did to the time, what was rejected
 * and why. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

typedef struct explained {
    char *text;   /* a constraint, a config */
    char *reason; /* of a rejection, or NULL */
    int64_t points;
    double seconds;
} explained;

typedef struct explained_list {
    int count, capacity;
    explained *item;
} explained_list;

typedef struct explain {
    int64_t points, legal;
    explained_list constraints, measured, rejected;
    bool failed; /* out of memory */
} explain;

void explain_event(explain *x, const fg_event *event);
void explain_free(explain *x);

/* `winner`: its config, whose time the others' are relative to. */
fg_status explain_print(const explain *x, const char *winner, fg_error *error);
bool explain_json(cJSON *object, const explain *x, const char *winner);

#endif
