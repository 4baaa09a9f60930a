/* A search as it goes, on stderr: a bar on a terminal, elsewhere a line now and then. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <flashgen.h>

#include <stdbool.h>

typedef struct show {
    bool terminal, utf8;
    char label[256];
    double told; /* seconds on the clock: when the bar was drawn last, or a line was printed */
    const char *stage;
    char leader[FG_CONFIG_TEXT];
} show;

/* `name`: of what is searched; the `number`-th of `count`. */
void show_start(show *s, const char *name, int number, int count);
void show_event(show *s, const fg_event *event);
void show_end(show *s);

/* The bar's line for a terminal of `width` columns: at most width - 1 of them, so that it never wraps. */
void show_format(char *out, size_t size, const show *s, const fg_event *event, int width);

/* As fg_event_fn, `user` being a show: also cancels once Ctrl-C was pressed. */
int show_watch(void *user, const fg_event *event);

#endif
