/* flashgen tune: its choices and what a search found, shared by the command and its report. */
#ifndef CLI_TUNE_H
#define CLI_TUNE_H

#include "explain.h"
#include "inputs.h"
#include "list.h"
#include "options.h"

typedef struct tune_choices {
    const char *list, *config, *log;
    double budget;
    bool exhaustive, again, explain, keep_going, json, in_process;
    input_choices sizes; /* b, sq and sk of them */
    context_choices context;
} tune_choices;

/* What is printed on stdout: a table, or JSON lines. */
typedef struct tune_table {
    bool json, explain;
    int name_width;
    bool begun; /* its header is printed, before the first row */
} tune_table;

tune_table tune_table_make(const list *problems, const tune_choices *choices);
/* A row, or a JSON object on a line of its own; what --explain asks for goes below it, or in it. */
fg_status tune_table_add(tune_table *t, const list_item *item, const char *canonical,
                         const fg_tune_report *found, const explain *learned, fg_error *error);

#endif
