/* Where the run of a shard is in a whole one. */
#include "places.h"

#include <errno.h>
#include <stdlib.h>

/* "4,0,16" as `count` numbers from 0 on. */
static bool read_numbers(int64_t *out, int count, const char *text)
{
    for (int k = 0; k < count; k++) {
        char *end;
        errno = 0;
        if (*text < '0' || *text > '9') return false;
        out[k] = strtoll(text, &end, 10);
        if (errno || *end != (k < count - 1 ? ',' : 0)) return false;
        text = end + 1;
    }
    return true;
}

static fg_status read_option(int64_t *out, int count, const char *name, const char *form,
                             const char *line, const char *text, fg_error *error)
{
    if (!line_find(line, "shard").at)
        return fault(error, FG_REQUEST, "--%s %s, but the problem has no shard", name, text);
    if (read_numbers(out, count, text)) return FG_OK;
    return fault(error, FG_REQUEST, "--%s takes whole numbers from 0 on, %s, not '%s'", name, form,
                 text);
}

fg_status places_take(fg_args *args, lengths *whole, const char *line, const input_choices *inputs,
                      fg_error *error)
{
    int64_t origin[4], size[5];
    fg_status s = FG_OK;
    for (int k = 0; k < line_dim_count; k++) whole->of[k] = -1;
    if (inputs->origin) {
        s = read_option(origin, 4, "origin", "B,H,I,J", line, inputs->origin, error);
        if (s != FG_OK) return s;
        args->origin_b = origin[0];
        args->origin_h = origin[1];
        args->origin_i = origin[2];
        args->origin_j = origin[3];
    }
    if (inputs->whole) {
        s = read_option(size, 5, "whole", "B,HQ,HKV,SQ,SK", line, inputs->whole, error);
        if (s != FG_OK) return s;
        args->whole_b = whole->of[LINE_b] = size[0];
        args->whole_hq = whole->of[LINE_hq] = size[1];
        args->whole_hkv = whole->of[LINE_hkv] = size[2];
        args->whole_sq = whole->of[LINE_sq] = size[3];
        args->whole_sk = whole->of[LINE_sk] = size[4];
    }
    return s;
}
