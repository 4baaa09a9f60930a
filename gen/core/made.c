#include "gen/core/maker.h"

#include <string.h>

static void free_text(const memory *m, char *bytes)
{
    if (bytes) memory_free(m, bytes, strlen(bytes) + 1);
}

void made_free(made *m)
{
    if (!m) return;
    free_text(m->memory, m->schedule);
    free_text(m->memory, m->config);
    if (m->text) memory_free(m->memory, m->text, m->text_length + 1);
    memory_free(m->memory, m, sizeof *m);
}
