/* stderr where it is a terminal: one line at the bottom that is redrawn in place. From any thread. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool terminal_is(void);
bool terminal_utf8(void); /* it shows UTF-8, by the locale */
int terminal_width(void); /* columns, now */

/* Draws `text`, of fewer columns than the width, in the place of what was drawn last. */
void terminal_draw(const char *text);
/* Takes it away: what is printed next starts in its place. Does nothing where nothing was drawn. */
void terminal_clear(void);

/* A copy for people's eyes: what is no printable ASCII becomes '?', so that a name from a file moves no
 * cursor. Cut to `size`. */
char *terminal_clean(char *out, size_t size, const char *text);

#endif
