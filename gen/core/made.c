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

static void free_removals(maker_space *s)
{
    if (!s->removal) return;
    for (int k = 0; k < s->removals; k++) free_text(s->memory, s->removal[k].constraint);
    memory_free(s->memory, s->removal, (size_t)s->removals * sizeof *s->removal);
}

static void free_configs(maker_space *s)
{
    if (!s->config) return;
    for (int k = 0; k < s->count; k++) free_text(s->memory, s->config[k]);
    memory_free(s->memory, s->config, (size_t)s->count * sizeof *s->config);
}

void maker_space_free(maker_space *s)
{
    if (!s) return;
    free_text(s->memory, s->schedule);
    free_removals(s);
    free_configs(s);
    if (s->cost) memory_free(s->memory, s->cost, (size_t)s->count * sizeof *s->cost);
    memory_free(s->memory, s, sizeof *s);
}

static void free_choices(maker_choices *c)
{
    if (!c->choice) return;
    for (int k = 0; k < c->count; k++) {
        free_text(c->memory, c->choice[k].schedule);
        free_text(c->memory, c->choice[k].config);
    }
    memory_free(c->memory, c->choice, (size_t)c->count * sizeof *c->choice);
}

void maker_choices_free(maker_choices *c)
{
    if (!c) return;
    free_choices(c);
    if (c->of) memory_free(c->memory, c->of, (size_t)c->sizes * sizeof *c->of);
    memory_free(c->memory, c, sizeof *c);
}
