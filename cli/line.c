#include "line.h"

#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const line_dim_names[line_dim_count] = {
#define LINE_DIM_NAME(name) #name,
    LINE_DIMS(LINE_DIM_NAME) LINE_RUN_DIMS(LINE_DIM_NAME)
#undef LINE_DIM_NAME
};

/* ---- Words ---- */

bool slice_is(slice s, const char *text)
{
    return s.at && strlen(text) == s.length && memcmp(s.at, text, s.length) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t value_length(const char *at)
{
    size_t length = 0;
    int depth = 0;
    while (at[length] && (depth > 0 || !is_space(at[length]))) {
        depth += (at[length] == '{') - (at[length] == '}');
        length++;
        if (*at == '{' && depth == 0) break;
    }
    return length;
}

bool line_next(const char **rest, slice *key, slice *value)
{
    const char *at = *rest;
    while (is_space(*at)) at++;
    *key = (slice){ at, 0 };
    *value = (slice){ NULL, 0 };
    while (at[key->length] && at[key->length] != '=' && !is_space(at[key->length])) key->length++;
    *rest = at + key->length;
    if (**rest == '=') {
        *value = (slice){ *rest + 1, value_length(*rest + 1) };
        *rest = value->at + value->length;
    }
    return *rest != at;
}

slice line_find(const char *line, const char *wanted)
{
    slice key, value;
    while (line_next(&line, &key, &value))
        if (slice_is(key, wanted)) return value.at ? value : (slice){ key.at + key.length, 0 };
    return (slice){ NULL, 0 };
}

int64_t line_number(const char *line, const char *key)
{
    const slice value = line_find(line, key);
    int64_t number = 0;
    if (!value.at || value.length == 0 || value.length > 15) return -1;
    for (size_t k = 0; k < value.length; k++) {
        if (value.at[k] < '0' || value.at[k] > '9')
            return -1; /* `*`, or wrong: the library says so */
        number = number * 10 + (value.at[k] - '0');
    }
    return number;
}

/* ---- Rewriting ---- */

/* Puts `text` in the place of `what`, a part of *line. */
static fg_status replace(char **line, slice what, const char *text, fg_error *error)
{
    char *longer = NULL;
    int before = (int)(what.at - *line);
    if (asprintf(&longer, "%.*s%s%s", before, *line, text, what.at + what.length) < 0)
        return fault_memory(error);
    free(*line);
    *line = longer;
    return FG_OK;
}

static fg_status expand_file(char **line, slice value, fg_error *error)
{
    char *path = strndup(value.at + 1, value.length - 1), *text = NULL, *braced = NULL;
    size_t size = 0;
    fg_status s = path ? file_load(&text, &size, path, error) : fault_memory(error);
    if (s == FG_OK && memchr(text, 0, size))
        s = fault(error, FG_REQUEST, "%s holds a byte 0: it is no function's text", path);
    if (s == FG_OK && strpbrk(text, "{}"))
        s = fault(error, FG_REQUEST, "%s holds a brace: the function's text goes without", path);
    if (s == FG_OK && asprintf(&braced, "{%s}", text) < 0) {
        braced = NULL;
        s = fault_memory(error);
    }
    if (s == FG_OK) s = replace(line, value, braced, error);
    free(braced);
    free(text);
    free(path);
    return s;
}

fg_status line_expand(char **out, const char *line, fg_error *error)
{
    static const char *const functions[] = { "score", "maskfn" };
    fg_status s = (*out = strdup(line)) ? FG_OK : fault_memory(error);
    for (size_t k = 0; k < sizeof functions / sizeof *functions && s == FG_OK; k++) {
        slice value = line_find(*out, functions[k]);
        if (value.at && value.length > 0 && *value.at == '@') s = expand_file(out, value, error);
    }
    if (s == FG_OK) return FG_OK;
    free(*out);
    *out = NULL;
    return s;
}

fg_status line_add(char **line, const char *key, int64_t value, fg_error *error)
{
    char word[64];
    snprintf(word, sizeof word, " %s=%lld", key, (long long)value);
    return replace(line, (slice){ *line + strlen(*line), 0 }, word, error);
}

/* ---- Axes ---- */

/* In layout bshd; of those with one name the first that the line asks for. */
static const struct {
    const char *name, *key, *value; /* key, and its value: what asks for it, or NULL */
    line_axes axes;
} known_axes[] = {
    { "k", "page", NULL, { .rank = 4, .dim = { LINE_pages, -1, LINE_hkv, LINE_d } } },
    { "v", "page", NULL, { .rank = 4, .dim = { LINE_pages, -1, LINE_hkv, LINE_dv } } },
    { "q", "lens", "packed", { .rank = 3, .dim = { LINE_total_q, LINE_hq, LINE_d } } },
    { "k", "lens", "packed", { .rank = 3, .dim = { LINE_total_k, LINE_hkv, LINE_d } } },
    { "v", "lens", "packed", { .rank = 3, .dim = { LINE_total_k, LINE_hkv, LINE_dv } } },
    { "o", "lens", "packed", { .rank = 3, .dim = { LINE_total_q, LINE_hq, LINE_dv } } },
    { "lse", "lens", "packed", { .rank = 2, .dim = { LINE_hq, LINE_total_q } } },
    { "q", NULL, NULL, { .rank = 4, .dim = { LINE_b, LINE_sq, LINE_hq, LINE_d } } },
    { "k", NULL, NULL, { .rank = 4, .dim = { LINE_b, LINE_sk, LINE_hkv, LINE_d } } },
    { "v", NULL, NULL, { .rank = 4, .dim = { LINE_b, LINE_sk, LINE_hkv, LINE_dv } } },
    { "o", NULL, NULL, { .rank = 4, .dim = { LINE_b, LINE_sq, LINE_hq, LINE_dv } } },
    { "lse", "lse", NULL, { .rank = 3, .dim = { LINE_b, LINE_hq, LINE_sq } } },
    { "bias", "bias", NULL, { .rank = 4, .dim = { LINE_b, LINE_hq, LINE_sq, LINE_sk } } },
    { "mask", "mask", NULL, { .rank = 4, .dim = { LINE_b, LINE_hq, LINE_sq, LINE_sk } } },
    { "slopes", "alibi", NULL, { .rank = 1, .dim = { LINE_hq } } },
    { "sinks", "sinks", NULL, { .rank = 1, .dim = { LINE_hq } } },
    { "q_lens", "lens", "padded", { .rank = 1, .dim = { LINE_b } } },
    { "k_lens", "lens", "padded", { .rank = 1, .dim = { LINE_b } } },
    { "cu_q", "lens", "packed", { .rank = 1, .dim = { LINE_starts } } },
    { "cu_k", "lens", "packed", { .rank = 1, .dim = { LINE_starts } } },
    { "block_table", "page", NULL, { .rank = 2, .dim = { LINE_b, LINE_blocks } } },
};

static void drop_broadcast(slice declared, line_axes *out)
{
    for (size_t k = 0; k < 4; k++)
        if (k < declared.length && declared.at[k] == '1') out->dim[k] = -1;
}

static void swap_middle(line_axes *out)
{
    int head = out->dim[2];
    out->dim[2] = out->dim[1];
    out->dim[1] = head;
}

static int dim_find(slice name)
{
    for (int k = 0; k < line_dim_count; k++)
        if (slice_is(name, line_dim_names[k])) return k;
    return -1;
}

/* "hq,sk" of NAME:f32[hq,sk] */
static void declared_axes(slice dims, line_axes *out)
{
    const char *at = dims.at, *end = dims.at + dims.length;
    for (out->rank = 0; at < end && out->rank < 4;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        slice one = { at, (size_t)((comma ? comma : end) - at) };
        out->dim[out->rank++] = dim_find(one);
        at += one.length + 1;
    }
}

static bool declared(const char *line, const char *name, line_axes *out)
{
    slice key, value;
    size_t length = strlen(name);
    const bool shard = line_find(line, "shard").at != NULL;
    while (line_next(&line, &key, &value)) {
        if (!slice_is(key, "tensor") || !value.at || value.length <= length) continue;
        if (memcmp(value.at, name, length) != 0 || value.at[length] != ':') continue;
        const char *open = memchr(value.at, '[', value.length);
        size_t before = open ? (size_t)(open + 1 - value.at) : value.length;
        size_t inside = value.length - before;
        declared_axes((slice){ value.at + before, inside > 0 ? inside - 1 : 0 }, out);
        out->whole = shard;
        return true;
    }
    return false;
}

static bool asks_for(const char *line, const char *key, const char *value)
{
    const slice found = line_find(line, key);
    return value ? slice_is(found, value) : found.at != NULL;
}

bool line_axes_of(const char *line, const char *name, line_axes *out)
{
    for (size_t k = 0; k < sizeof known_axes / sizeof *known_axes; k++) {
        const char *key = known_axes[k].key;
        if (strcmp(known_axes[k].name, name) != 0) continue;
        if (key && !asks_for(line, key, known_axes[k].value)) continue;
        *out = known_axes[k].axes;
        out->whole = line_find(line, "shard").at && out->rank == 1 && *out->dim == LINE_hq;
        if (!key && slice_is(line_find(line, "layout"), "bhsd")) swap_middle(out);
        if (key && strcmp(key, name) == 0 && out->rank == 4)
            drop_broadcast(line_find(line, name), out);
        return true;
    }
    return declared(line, name, out);
}
