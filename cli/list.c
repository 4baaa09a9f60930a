#include "list.h"

#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fg_status list_add(list *l, const list_item *item, fg_error *error)
{
    list_item *more = realloc(l->item, ((size_t)l->count + 1) * sizeof *more);
    if (!more) return fault_memory(error);
    l->item = more;
    list_item *own = &more[l->count++];
    *own = *item;
    own->problem = strdup(item->problem);
    own->name = item->name ? strdup(item->name) : NULL;
    return own->problem && (own->name || !item->name) ? FG_OK : fault_memory(error);
}

void list_free(list *l)
{
    for (int k = 0; k < l->count; k++) {
        free(l->item[k].name);
        free(l->item[k].problem);
    }
    free(l->item);
    *l = (list){ 0 };
}

/* Cuts the space off both ends. */
static char *trim(char *text)
{
    static const char space[] = " \t\r\n\v\f";
    text += strspn(text, space);
    size_t length = strlen(text);
    while (length > 0 && strchr(space, text[length - 1])) length--;
    text[length] = 0;
    return text;
}

/* What follows "name:" in a comment, or NULL. */
static char *name_in(char *comment)
{
    static const char word[] = "name:";
    comment = trim(comment + 1);
    return strncmp(comment, word, sizeof word - 1) == 0 ? trim(comment + sizeof word - 1) : NULL;
}

fg_status list_read(list *l, const char *path, fg_error *error)
{
    char *text, *rest, *name = NULL;
    size_t size;
    fg_status s = file_load(&text, &size, path, error);
    if (s == FG_OK && memchr(text, 0, size))
        s = fault(error, FG_REQUEST, "%s is no text: it holds a byte 0", path);
    rest = text;
    for (int number = 1; s == FG_OK && rest; number++) {
        char *line = trim(strsep(&rest, "\n"));
        if (*line == '#') {
            char *found = name_in(line);
            if (found) name = found;
        } else if (*line) {
            const list_item item = { name, line, number, path };
            s = list_add(l, &item, error);
            name = NULL;
        }
    }
    free(text);
    return s;
}

fg_status list_gather(list *l, const char *path, int argc, char **argv, fg_error *error)
{
    fg_status s = FG_OK;
    for (int k = 0; k < argc && s == FG_OK; k++)
        s = list_add(l, &(list_item){ .problem = argv[k] }, error);
    if (s == FG_OK && path) s = list_read(l, path, error);
    if (s == FG_OK && l->count == 0)
        s = fault(error, FG_REQUEST, "there is no problem: give some as arguments, or --list FILE");
    return s;
}

const char *list_name(const list_item *item)
{
    return item->name ? item->name : item->problem;
}

void list_name_fault(const list_item *item, fg_error *error)
{
    char sentence[FG_ERROR_TEXT];
    memcpy(sentence, error->text, sizeof sentence);
    if (item->line)
        snprintf(error->text, sizeof error->text, "%s:%d: %.1800s", item->path, item->line,
                 sentence);
    else
        snprintf(error->text, sizeof error->text, "'%.200s': %.1800s", item->problem, sentence);
    error->position = -1;
}
