/* What flashgen tune prints of each problem. */
#include "tune.h"

#include "terminal.h"

#include <stdio.h>
#include <string.h>

/* ---- For people ---- */

enum { widest_name = 60 };

tune_table tune_table_make(const list *problems, const tune_choices *c)
{
    tune_table t = { .json = c->json, .explain = c->explain, .name_width = 4 };
    for (int k = 0; k < problems->count; k++) {
        int length = (int)strlen(list_name(&problems->item[k]));
        if (length > t.name_width) t.name_width = length < widest_name ? length : widest_name;
    }
    return t;
}

static void print_header(int width)
{
    printf("%-*s%11s%13s%8s%10s%10s%9s  %-9s  %s\n", width, "name", "best ms", "estimate ms",
           "gain", "measured", "rejected", "seconds", "verdict", "config");
}

static const char *verdict(const fg_tune_report *r)
{
    return r->found ? "stored" : r->decided ? "decided" : "undecided";
}

/* How many times as fast as the estimate; 0: nobody knows. */
static double gain(const fg_tune_report *r)
{
    return r->seconds > 0 ? r->estimate_seconds / r->seconds : 0;
}

static void print_row(const char *name, int width, const fg_tune_report *r)
{
    char clean[widest_name + 1], config[FG_CONFIG_TEXT];
    printf("%-*s%11.4f", width, terminal_clean(clean, sizeof clean, name), 1e3 * r->seconds);
    if (gain(r) > 0)
        printf("%13.4f%7.2fx", 1e3 * r->estimate_seconds, gain(r));
    else
        printf("%13s%8s", "-", "-");
    printf("%10lld%10lld%9.1f  %-9s  %s\n", (long long)r->measured, (long long)r->rejected,
           r->elapsed, verdict(r), terminal_clean(config, sizeof config, r->config));
}

/* ---- JSON ---- */

static bool add_counts(cJSON *object, const fg_tune_report *r)
{
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        { "seconds", r->seconds },
        { "spread", r->spread },
        { "estimate_seconds", r->estimate_seconds },
        { "elapsed", r->elapsed },
        { "compile_seconds", r->compile_seconds },
        { "legal", (double)r->legal },
        { "compiled", (double)r->compiled },
        { "measured", (double)r->measured },
        { "rejected", (double)r->rejected },
    };
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
        if (!cJSON_AddNumberToObject(object, numbers[k].key, numbers[k].value)) return false;
    return true;
}

static fg_status print_json(const char *name, const char *canonical, const fg_tune_report *r,
                            const explain *learned, fg_error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object &&
              (name ? cJSON_AddStringToObject(object, "name", name)
                    : cJSON_AddNullToObject(object, "name")) &&
              cJSON_AddStringToObject(object, "problem", canonical) &&
              cJSON_AddStringToObject(object, "schedule", r->schedule) &&
              cJSON_AddStringToObject(object, "config", r->config) && add_counts(object, r) &&
              cJSON_AddBoolToObject(object, "decided", r->decided) &&
              cJSON_AddBoolToObject(object, "stored", r->found) &&
              (!learned || explain_json(object, learned, r->config));
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
    return text ? FG_OK : fault_memory(error);
}

fg_status tune_table_add(tune_table *t, const list_item *item, const char *canonical,
                         const fg_tune_report *found, const explain *learned, fg_error *error)
{
    fg_status s = FG_OK;
    if (t->json) {
        s = print_json(item->name, canonical, found, t->explain ? learned : NULL, error);
    } else {
        if (!t->begun) print_header(t->name_width);
        t->begun = true;
        print_row(list_name(item), t->name_width, found);
        if (t->explain) s = explain_print(learned, found->config, error);
    }
    fflush(stdout); /* each takes a while */
    return s;
}
