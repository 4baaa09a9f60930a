#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

fg_status fault(fg_error *error, fg_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->status = status;
    error->position = -1;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return status;
}

fg_status fault_memory(fg_error *error)
{
    return fault(error, FG_MEMORY, "out of memory");
}

fg_status fault_errno(fg_error *error, const char *verb, const char *path, int code)
{
    static const int requests[] = { ENOENT, ENOTDIR, EISDIR,       EACCES,
                                    EPERM,  ELOOP,   ENAMETOOLONG, EINVAL };
    fg_status status = FG_MACHINE;
    for (size_t k = 0; k < sizeof requests / sizeof *requests; k++)
        if (code == requests[k]) status = FG_REQUEST;
    return fault(error, status, "cannot %s %s: %s", verb, path, strerror(code));
}

/* The line of `text` that holds the position, cut to a screen's width, and a mark under it. */
static void print_place(const char *text, size_t position)
{
    const size_t before = 40, after = 38;
    size_t start = position, end = position;
    while (start > 0 && text[start - 1] != '\n' && position - start < before) start--;
    while (text[end] && text[end] != '\n' && end - position < after) end++;
    fputs("    ", stderr);
    for (size_t k = start; k < end; k++)
        fputc(text[k] < ' ' || text[k] > '~' ? '?' : text[k], stderr);
    fprintf(stderr, "\n    %*s^\n", (int)(position - start), "");
}

void fault_print(const fg_error *error, const char *text)
{
    fprintf(stderr, "flashgen: %s\n", error->text);
    if (text && error->position >= 0 && (uint64_t)error->position <= strlen(text))
        print_place(text, (size_t)error->position);
}

int fault_exit_code(fg_status status)
{
    static const int codes[] = {
#define EXIT_CODE(name, code, meaning) [name] = code,
        FG_STATUSES(EXIT_CODE)
#undef EXIT_CODE
    };
    return (size_t)status < sizeof codes / sizeof *codes ? codes[status] : codes[FG_INTERNAL];
}
