/* A list of problems: one a line; # starts a comment, and "# name: X" names the next problem. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "fault.h"

typedef struct list_item {
    char *name; /* or NULL */
    char *problem;
    int line;         /* from 1; 0: from the command's arguments */
    const char *path; /* of the list */
} list_item;

typedef struct list {
    int count;
    list_item *item;
} list;

fg_status list_add(list *l, const list_item *item, fg_error *error); /* copies the texts */
fg_status list_read(list *l, const char *path, fg_error *error);
/* The problems in argv and those of the file (NULL: none): at least one. */
fg_status list_gather(list *l, const char *path, int argc, char **argv, fg_error *error);
void list_free(list *l);

const char *list_name(const list_item *item); /* or the problem as it was given */
/* Puts the file and line, or the problem, before the sentence. */
void list_name_fault(const list_item *item, fg_error *error);

#endif
