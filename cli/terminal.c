#include "terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static bool drawn; /* stderr's lock guards it */

bool terminal_is(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDERR_FILENO) && !(kind && strcmp(kind, "dumb") == 0);
}

bool terminal_utf8(void)
{
    locale_t user = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (!user) return false;
    bool utf8 = strcmp(nl_langinfo_l(CODESET, user), "UTF-8") == 0;
    freelocale(user);
    return utf8;
}

int terminal_width(void)
{
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void terminal_draw(const char *text)
{
    flockfile(stderr);
    fprintf(stderr, "\r%s\x1b[K", text);
    fflush(stderr);
    drawn = true;
    funlockfile(stderr);
}

void terminal_clear(void)
{
    flockfile(stderr);
    if (drawn) fputs("\r\x1b[K", stderr);
    drawn = false;
    funlockfile(stderr);
}

char *terminal_clean(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++) out[n] = text[n] < ' ' || text[n] > '~' ? '?' : text[n];
    out[n] = 0;
    return out;
}
