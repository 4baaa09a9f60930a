/* Any bytes as a list of problems: refused with a sentence, or lines that the file has, in its order, each of
 * which the library takes or refuses. */
#include "cli/list.h"
#include "runtime/folder.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static void check_item(fg_context *context, const list *l, int k, const char *bytes)
{
    const list_item *item = &l->item[k];
    fg_problem *problem = NULL;
    fg_error error = { FG_OK, -1, "" };
    require(item->line > (k > 0 ? l->item[k - 1].line : 0));
    require(item->problem[0] && item->problem[0] != '#' && strstr(bytes, item->problem));
    require(!strchr(item->problem, '\n') && (!item->name || strstr(bytes, item->name)));
    if (fg_problem_parse(&problem, context, item->problem, &error) != FG_OK) {
        list_name_fault(item, &error);
        require(error.text[0] && strlen(error.text) < sizeof error.text);
    }
    fg_problem_free(problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fg_context *context;
    char path[32], *bytes = calloc(size + 1, 1);
    fg_context_options options = FG_CONTEXT_OPTIONS_INIT;
    fg_error error = { FG_OK, -1, "" };
    list l = { 0 };
    options.store = "";
    if (!context) require(fg_context_new(&context, &options, &error) == FG_OK);
    int fd = memfd_create("list", MFD_CLOEXEC);
    require(bytes && fd >= 0 && fd_write(fd, data, size));
    if (size) memcpy(bytes, data, size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fg_status status = list_read(&l, path, &error);
    require(status == FG_OK || error.text[0]);
    require(status == FG_OK || memchr(data, 0, size));
    for (int k = 0; k < l.count && status == FG_OK; k++) check_item(context, &l, k, bytes);
    list_free(&l);
    close(fd);
    free(bytes);
    return 0;
}
