/* What flashgen run leaves behind: files, and what it prints. */
#include "file.h"
#include "run.h"

#include <cjson/cJSON.h>

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Files ---- */

/* Fields are f32, or f64 for f64. */
static fg_status add_elements(file_output *out, const tensor *t, fg_error *error)
{
    enum { block = 4096 };
    bool f64 = t->type->bits == 64;
    char bytes[block * sizeof(double)];
    size_t size = f64 ? sizeof(double) : sizeof(float), filled = 0;
    for (int64_t n = 0; n < t->count; n++) {
        double value = tensor_at(t, n);
        float narrow = (float)value;
        memcpy(bytes + filled, f64 ? (const void *)&value : (const void *)&narrow, size);
        filled += size;
        if (filled < sizeof bytes && n + 1 < t->count) continue;
        fg_status s = file_add(out, bytes, filled, error);
        if (s != FG_OK) return s;
        filled = 0;
    }
    return FG_OK;
}

static fg_status write_one(file_output *out, const char *path, const tensor *t, fg_error *error)
{
    char header[npy_max_header];
    if (!path) return FG_OK;
    size_t length = npy_write_header(header, t->type->bits == 64, t->dl.ndim, t->shape);
    fg_status s = file_create(out, path, error);
    if (s == FG_OK) s = file_add(out, header, length, error);
    if (s == FG_OK) s = add_elements(out, t, error);
    if (s == FG_OK) s = file_finish(out, error);
    return s;
}

fg_status run_write(const run_choices *choices, tensors *t, fg_error *error)
{
    file_output o = FILE_OUTPUT_INIT, lse = FILE_OUTPUT_INIT;
    fg_status s = write_one(&o, choices->out, tensors_find(t, "o"), error);
    if (s == FG_OK) s = write_one(&lse, choices->lse, tensors_find(t, "lse"), error);
    if (s == FG_OK) s = file_publish(&o, error);
    if (s == FG_OK) s = file_publish(&lse, error);
    file_discard(&o);
    file_discard(&lse);
    return s;
}

/* ---- What was expected ---- */

static double largest_roundoff(tensors *t)
{
    static const char *const names[] = { "q", "k", "v", "o" };
    double largest = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        largest = fmax(largest, tensors_find(t, names[k])->type->unit_roundoff);
    return largest;
}

fg_status run_expect(run_result *r, const run_choices *choices, tensors *t, fg_error *error)
{
    const tensor *o = tensors_find(t, "o");
    tensor_files file = { 0 };
    double distance = 0, size = 0;
    char theirs[npy_shape_text], ours[npy_shape_text];
    fg_status s = tensor_files_add(&file, "--expect", "o", choices->expect, error);
    const npy_header *h = &file.item[0].header;
    if (s == FG_OK && (h->rank != o->dl.ndim ||
                       memcmp(h->shape, o->shape, (size_t)h->rank * sizeof *h->shape) != 0))
        s = fault(error, FG_REQUEST, "%s has shape %s, and O has %s", choices->expect,
                  npy_format_shape(theirs, h->rank, h->shape),
                  npy_format_shape(ours, o->dl.ndim, o->shape));
    for (int64_t n = 0; n < o->count && s == FG_OK; n++) {
        double want = npy_at(h, file.item[0].bytes, n), error_of = tensor_at(o, n) - want;
        distance += error_of * error_of;
        size += want * want;
    }
    r->expected = s == FG_OK;
    r->expect_rms = distance == 0 ? 0 : sqrt(distance / size);
    r->expect_bound = 80 * largest_roundoff(t);
    tensor_files_free(&file);
    return s;
}

/* ---- JSON ---- */

/* JSON has no infinity; null means unchecked. */
static bool add_number(cJSON *object, const char *key, bool known, double value)
{
    if (!known) return cJSON_AddNullToObject(object, key);
    return cJSON_AddNumberToObject(object, key, value <= DBL_MAX ? value : DBL_MAX);
}

static bool add_texts(cJSON *object, const run_result *r)
{
    const char *const texts[][2] = {
        { "problem", r->problem },
        { "target", r->plan.target },
        { "schedule", r->plan.schedule },
        { "config", r->plan.config },
        { "source", plan_source(r->plan.source) },
    };
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
        if (!cJSON_AddStringToObject(object, texts[k][0], texts[k][1])) return false;
    return true;
}

static bool add_seconds(cJSON *object, const run_result *r)
{
    cJSON *seconds = cJSON_AddObjectToObject(object, "seconds");
    return seconds && add_number(seconds, "generate", true, r->plan.generate_seconds) &&
           add_number(seconds, "compile", true, r->plan.compile_seconds) &&
           add_number(seconds, "load", true, r->plan.load_seconds) &&
           add_number(seconds, "run", true, r->first_seconds);
}

static fg_status report_json(const run_result *r, fg_error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object && add_texts(object, r) && add_seconds(object, r) &&
              add_number(object, "median_ms", true, 1e3 * r->timing.median) &&
              add_number(object, "gflops", true, r->gflops) &&
              add_number(object, "error_over_bound", r->checked, r->report.error_over_bound) &&
              add_number(object, "rms", r->checked, r->report.rms) &&
              (!r->expected || add_number(object, "expect_rms", true, r->expect_rms));
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
    return text ? FG_OK : fault_memory(error);
}

/* ---- For people ---- */

static const char *source_sentence(fg_source source)
{
    static const char *const sentences[] = { [FG_FROM_MEMORY] = "from memory",
                                             [FG_FROM_STORE] = "from the store",
                                             [FG_FROM_BUNDLE] = "from a bundle",
                                             [FG_COMPILED] = "compiled now" };
    return sentences[source];
}

static void report_text(const run_result *r, const run_choices *c)
{
    printf("problem   %s\n", r->problem);
    printf("kernel    target %s, schedule %s, %s\n", r->plan.target, r->plan.schedule,
           source_sentence(r->plan.source));
    printf("config    %s\n", r->plan.config);
    printf("first     generate %.3f s, compile %.3f s, load %.3f s, run %.3f s\n",
           r->plan.generate_seconds, r->plan.compile_seconds, r->plan.load_seconds,
           r->first_seconds);
    printf("time      %.3f ms (median of %d), %.1f GFLOP/s\n", 1e3 * r->timing.median,
           r->timing.runs, r->gflops);
    if (r->checked)
        printf("check     %s: error %.3g of its bound, relative RMS %.3g (%lld rows)\n",
               r->right ? "right" : "WRONG", r->report.error_over_bound, r->report.rms,
               (long long)r->report.rows);
    if (r->expected)
        printf("expected  relative RMS %.3g (at most %.3g) from %s\n", r->expect_rms,
               r->expect_bound, c->expect);
    if (c->out) printf("wrote     O to %s\n", c->out);
    if (c->lse) printf("wrote     the log-sum-exp to %s\n", c->lse);
}

fg_status run_report(const run_result *r, const run_choices *choices, fg_error *error)
{
    if (choices->json) return report_json(r, error);
    report_text(r, choices);
    return FG_OK;
}
