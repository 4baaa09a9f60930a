#include "show.h"

#include "interrupt.h"
#include "measure.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

static const double redraw_seconds = 0.1, line_seconds = 5;

void show_start(show *s, const char *name, int number, int count)
{
    char clean[200];
    *s = (show){ .terminal = terminal_is(), .utf8 = terminal_utf8(), .stage = "preparing" };
    terminal_clean(clean, sizeof clean, name);
    if (count > 1)
        snprintf(s->label, sizeof s->label, "%d/%d %s", number, count, clean);
    else
        snprintf(s->label, sizeof s->label, "%s", clean);
    s->told = measure_now() - redraw_seconds;
}

void show_end(show *s)
{
    if (s->terminal) terminal_clear();
}

/* ---- The bar ---- */

/* Seconds to go, or -1 where nobody knows. */
static double seconds_left(const fg_event *e)
{
    bool bounded = e->budget > 0 && e->budget < 1e9;
    if (bounded) return e->budget > e->elapsed ? e->budget - e->elapsed : 0;
    return e->done > 0.01 && e->done <= 1 ? e->elapsed / e->done * (1 - e->done) : -1;
}

static void format_tail(char *out, size_t size, const fg_event *e)
{
    double left = seconds_left(e);
    int n = snprintf(out, size, "%lld/%lld", (long long)e->measured, (long long)e->legal);
    if (e->best_config)
        n += snprintf(out + n, size - (size_t)n, "  best %.4g ms", 1e3 * e->best_seconds);
    if (left >= 0)
        snprintf(out + n, size - (size_t)n, "  %d:%02d left", (int)(left / 60), (int)left % 60);
}

static int at_most(int value, int limit)
{
    return value > limit ? (limit > 0 ? limit : 0) : value;
}

static double part_done(const fg_event *e)
{
    double done = e->done;
    return done > 1 ? 1 : done > 0 ? done : 0;
}

void show_format(char *out, size_t size, const show *s, const fg_event *e, int width)
{
    enum { most_cells = 30, least_cells = 4, gaps = 6 };
    static const char *const cells[][2] = { { ".", "#" }, { "\u2591", "\u2588" } };
    char tail[96];
    const int room = at_most(width, (int)size / 4) - 1;
    format_tail(tail, sizeof tail, e);
    int fixed = (int)strlen(s->stage) + (int)strlen(tail) + gaps;
    int label = at_most((int)strlen(s->label), room - fixed - least_cells);
    int count = at_most(most_cells, room - fixed - label);
    int n = snprintf(out, size, "%.*s%s%s  ", label, s->label, label ? "  " : "", s->stage);
    if (count < least_cells) {
        snprintf(out + n, size - (size_t)n, "%s", tail);
        out[at_most((int)strlen(out), room)] = 0; /* all ASCII without the bar */
        return;
    }
    int full = (int)(part_done(e) * count);
    for (int k = 0; k < count; k++)
        n += snprintf(out + n, size - (size_t)n, "%s", cells[s->utf8][k < full]);
    snprintf(out + n, size - (size_t)n, "  %s", tail);
}

static void draw(const show *s, const fg_event *e)
{
    char text[2048];
    show_format(text, sizeof text, s, e, terminal_width());
    terminal_draw(text);
}

/* ---- Lines ---- */

static void print_line(const show *s, const fg_event *e)
{
    fprintf(stderr, "flashgen: %s: %s, %.1f s, %lld of %lld measured", s->label, s->stage,
            e->elapsed, (long long)e->measured, (long long)e->legal);
    if (e->best_config)
        fprintf(stderr, ", best %.4g ms: %s", 1e3 * e->best_seconds, e->best_config);
    fputc('\n', stderr);
}

/* ---- Events ---- */

static const char *stage_of(const show *s, const fg_event *e)
{
    if (e->compiled > 0 || e->measured > 0) return "measuring";
    return e->legal > 0 ? "compiling" : s->stage;
}

static bool new_leader(show *s, const fg_event *e)
{
    if (!e->best_config || strcmp(s->leader, e->best_config) == 0) return false;
    snprintf(s->leader, sizeof s->leader, "%s", e->best_config);
    return true;
}

void show_event(show *s, const fg_event *e)
{
    double now = measure_now(), wait = s->terminal ? redraw_seconds : line_seconds;
    bool leads = new_leader(s, e), late = now - s->told >= wait;
    s->stage = stage_of(s, e);
    if (e->kind == FG_EVENT_NOTE && e->text) {
        terminal_clear();
        fprintf(stderr, "flashgen: %s: %s\n", s->label, e->text);
    }
    if (!late && (s->terminal || !leads)) return;
    s->told = now;
    if (s->terminal)
        draw(s, e);
    else
        print_line(s, e);
}

int show_watch(void *user, const fg_event *event)
{
    if (interrupt_caught()) return 1;
    show_event(user, event);
    return 0;
}
