#include "explain.h"

#include "line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Gathering ---- */

static explained *find(const explained_list *l, const char *text)
{
    for (int k = l->count - 1; k >= 0; k--)
        if (strcmp(l->item[k].text, text) == 0) return &l->item[k];
    return NULL;
}

static explained *add(explained_list *l, const char *text)
{
    if (l->count == l->capacity) {
        int capacity = 2 * l->capacity + 16;
        explained *more = realloc(l->item, (size_t)capacity * sizeof *more);
        if (!more) return NULL;
        l->item = more;
        l->capacity = capacity;
    }
    explained *own = &l->item[l->count];
    *own = (explained){ .text = strdup(text) };
    l->count += own->text != NULL;
    return own->text ? own : NULL;
}

/* A config is measured again and again: the last time counts. */
static explained *find_or_add(explain *x, explained_list *l, const char *text)
{
    explained *own = text ? find(l, text) : NULL;
    if (text && !own) own = add(l, text);
    x->failed |= text && !own;
    return own;
}

static void take_reason(explain *x, const fg_event *e)
{
    explained *own = find_or_add(x, &x->rejected, e->config);
    if (!own || own->reason || !e->text) return;
    own->reason = strdup(e->text);
    x->failed |= !own->reason;
}

void explain_event(explain *x, const fg_event *e)
{
    explained *own;
    if (e->kind == FG_EVENT_SPACE) {
        x->points = e->count;
        x->legal = e->legal;
    } else if (e->kind == FG_EVENT_CONSTRAINT) {
        if ((own = find_or_add(x, &x->constraints, e->text))) own->points = e->count;
    } else if (e->kind == FG_EVENT_MEASURED) {
        if ((own = find_or_add(x, &x->measured, e->config))) own->seconds = e->seconds;
    } else if (e->kind == FG_EVENT_REJECTED) {
        take_reason(x, e);
    }
}

static void list_free_all(explained_list *l)
{
    for (int k = 0; k < l->count; k++) {
        free(l->item[k].text);
        free(l->item[k].reason);
    }
    free(l->item);
}

void explain_free(explain *x)
{
    list_free_all(&x->constraints);
    list_free_all(&x->measured);
    list_free_all(&x->rejected);
    *x = (explain){ 0 };
}

/* ---- What the axes did ---- */

typedef struct effect {
    char axis[32], value[32];
    double ratio; /* to the winner's time */
} effect;

static int by_axis(const void *a, const void *b)
{
    const effect *x = a, *y = b;
    int order = strcmp(x->axis, y->axis);
    if (order == 0) order = strverscmp(x->value, y->value);
    return order ? order : (x->ratio > y->ratio) - (x->ratio < y->ratio);
}

static int axis_count(const char *config)
{
    slice key, value;
    int count = 0;
    while (line_next(&config, &key, &value)) count++;
    return count;
}

/* One for each axis of each measured config, sorted; for free(), or NULL. */
static effect *effects_make(int *count, const explain *x, const char *winner)
{
    const explained *own = find(&x->measured, winner);
    double best = own ? own->seconds : NAN; /* as it was measured among them, not at the end */
    int capacity = 1;
    for (int k = 0; k < x->measured.count; k++) capacity += axis_count(x->measured.item[k].text);
    effect *all = malloc((size_t)capacity * sizeof *all);
    *count = 0;
    for (int k = 0; k < x->measured.count && all; k++) {
        const char *rest = x->measured.item[k].text;
        slice key, value;
        while (line_next(&rest, &key, &value)) {
            effect *e = &all[(*count)++];
            e->ratio = x->measured.item[k].seconds / best;
            snprintf(e->axis, sizeof e->axis, "%.*s", (int)key.length, key.at);
            snprintf(e->value, sizeof e->value, "%.*s", (int)value.length,
                     value.at ? value.at : "");
        }
    }
    if (all) qsort(all, (size_t)*count, sizeof *all, by_axis);
    return all;
}

/* How many from `e` on are of the same axis, or of the same axis and value. */
static int group_length(const effect *e, int count, bool of_value)
{
    int n = 1;
    while (n < count && strcmp(e[n].axis, e->axis) == 0 &&
           (!of_value || strcmp(e[n].value, e->value) == 0))
        n++;
    return n;
}

static double median_of(const effect *e, int count)
{
    return (e[(count - 1) / 2].ratio + e[count / 2].ratio) / 2;
}

/* ---- For people ---- */

static void print_constraints(const explain *x)
{
    printf("  space: %lld points, %lld of them legal%s\n", (long long)x->points,
           (long long)x->legal, x->constraints.count ? "; the others break:" : "");
    for (int k = 0; k < x->constraints.count; k++)
        printf("%12lld  %s\n", (long long)x->constraints.item[k].points,
               x->constraints.item[k].text);
}

static void print_axis(const effect *e, int count)
{
    if (group_length(e, count, true) == count) {
        printf("    %-10s %-10s in all of them\n", e->axis, e->value);
        return;
    }
    for (int k = 0, n; k < count; k += n) {
        n = group_length(e + k, count - k, true);
        printf("    %-10s %-10s best %.3f, median %.3f of %d\n", k == 0 ? e->axis : "", e[k].value,
               e[k].ratio, median_of(e + k, n), n);
    }
}

static void print_rejected(const explained_list *rejected)
{
    for (int k = 0; k < rejected->count; k++)
        printf("  rejected %s: %s\n", rejected->item[k].text,
               rejected->item[k].reason ? rejected->item[k].reason : "for no reason that was told");
}

fg_status explain_print(const explain *x, const char *winner, fg_error *error)
{
    int count = 0;
    if (x->failed) return fault_memory(error);
    if (x->points == 0 && x->measured.count == 0) {
        printf("  nothing was searched now: the winner was stored (--again searches anew)\n");
        return FG_OK;
    }
    effect *all = effects_make(&count, x, winner);
    if (!all) return fault_memory(error);
    print_constraints(x);
    printf("  axes, by the times of the %d measured configs relative to the winner's:\n",
           x->measured.count);
    for (int k = 0, n; k < count; k += n) {
        n = group_length(all + k, count - k, false);
        print_axis(all + k, n);
    }
    print_rejected(&x->rejected);
    free(all);
    return FG_OK;
}

/* ---- JSON ---- */

/* A new object at the end of `array`, or NULL. */
static cJSON *append(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();
    if (object && cJSON_AddItemToArray(array, object)) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool constraints_json(cJSON *object, const explained_list *l)
{
    cJSON *array = cJSON_AddArrayToObject(object, "constraints"), *one;
    bool ok = array != NULL;
    for (int k = 0; k < l->count && ok; k++)
        ok = (one = append(array)) && cJSON_AddStringToObject(one, "name", l->item[k].text) &&
             cJSON_AddNumberToObject(one, "points", (double)l->item[k].points);
    return ok;
}

static bool rejected_json(cJSON *object, const explained_list *l)
{
    cJSON *array = cJSON_AddArrayToObject(object, "rejections"), *one;
    bool ok = array != NULL;
    for (int k = 0; k < l->count && ok; k++)
        ok = (one = append(array)) && cJSON_AddStringToObject(one, "config", l->item[k].text) &&
             cJSON_AddStringToObject(one, "reason", l->item[k].reason ? l->item[k].reason : "");
    return ok;
}

static bool axes_json(cJSON *object, const effect *all, int count)
{
    cJSON *array = cJSON_AddArrayToObject(object, "axes"), *one;
    bool ok = array && all;
    for (int k = 0, n; k < count && ok; k += n) {
        n = group_length(all + k, count - k, true);
        ok = (one = append(array)) && cJSON_AddStringToObject(one, "axis", all[k].axis) &&
             cJSON_AddStringToObject(one, "value", all[k].value) &&
             cJSON_AddNumberToObject(one, "best", all[k].ratio) &&
             cJSON_AddNumberToObject(one, "median", median_of(all + k, n)) &&
             cJSON_AddNumberToObject(one, "configs", n);
    }
    return ok;
}

bool explain_json(cJSON *object, const explain *x, const char *winner)
{
    int count = 0;
    if (x->failed) return false;
    effect *all = effects_make(&count, x, winner);
    cJSON *own = cJSON_AddObjectToObject(object, "explain");
    bool ok = own && cJSON_AddNumberToObject(own, "points", (double)x->points) &&
              cJSON_AddNumberToObject(own, "legal", (double)x->legal) &&
              constraints_json(own, &x->constraints) && axes_json(own, all, count) &&
              rejected_json(own, &x->rejected);
    free(all);
    return ok;
}
