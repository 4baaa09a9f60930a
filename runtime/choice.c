#include "runtime/choice.h"

#include "runtime/identity.h"
#include "runtime/image.h"

#include <string.h>

/* ---- As lines ---- */

static void write_digest(text *out, const char *name, const digest *d)
{
    char hex[digest_text_size];
    digest_format(hex, d);
    text_addf(out, "%s %s\n", name, hex);
}

void choice_write(text *out, const choice *c)
{
    text_addf(out, "schedule %s\nconfig %s\n", c->schedule, c->config);
    write_digest(out, "kernel", &c->kernel);
    write_digest(out, "compiler", &c->compiler);
#define WRITE_REAL(name)                                                                           \
    text_addf(out, #name " ");                                                                     \
    text_add_double(out, c->name);                                                                 \
    text_add(out, "\n", 1);
    CHOICE_REALS(WRITE_REAL)
#undef WRITE_REAL
#define WRITE_INT(name) text_addf(out, #name " %lld\n", (long long)c->name);
    CHOICE_INTS(WRITE_INT)
#undef WRITE_INT
}

/* The value on the line of that name. */
static bool find_line(const char *at, const char *end, const char *name, const char **value,
                      size_t *length)
{
    size_t name_length = strlen(name);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) return false;
        if ((size_t)(stop - at) > name_length && memcmp(at, name, name_length) == 0 &&
            at[name_length] == ' ') {
            *value = at + name_length + 1;
            *length = (size_t)(stop - *value);
            return true;
        }
        at = stop + 1;
    }
    return false;
}

static bool copy_word(char *out, size_t size, const char *value, size_t length)
{
    if (length == 0 || length >= size || memchr(value, 0, length)) return false;
    memcpy(out, value, length);
    out[length] = 0;
    return true;
}

static bool read_real(double *out, const char *value, size_t length)
{
    bool infinite = length == 3 && memcmp(value, "inf", 3) == 0;
    if (infinite) *out = HUGE_VAL;
    return infinite || number_double(value, length, out);
}

bool choice_read(choice *out, const void *data, size_t size)
{
    const char *at = data, *end = at + size, *value;
    size_t length;
    *out = (choice){ .schedule = "" };
#define LINE(name, read)                                                                           \
    if (!find_line(at, end, name, &value, &length) || !(read)) return false;
    LINE("schedule", copy_word(out->schedule, sizeof out->schedule, value, length))
    LINE("config", copy_word(out->config, sizeof out->config, value, length))
    LINE("kernel", digest_parse(&out->kernel, value, length))
    LINE("compiler", digest_parse(&out->compiler, value, length))
#define READ_REAL(name) LINE(#name, read_real(&out->name, value, length))
    CHOICE_REALS(READ_REAL)
#undef READ_REAL
#define READ_INT(name) LINE(#name, number_int(value, length, &out->name))
    CHOICE_INTS(READ_INT)
#undef READ_INT
#undef LINE
    return true;
}

/* ---- Keys ---- */

static void add_line(store_key *k, const fg_context *context, const problem *p, problem_part part)
{
    text line;
    text_init(&line, &context->memory);
    problem_line(&line, p, part);
    if (line.failed)
        k->fields.failed = true;
    else
        key_add(k, "problem", line.data);
    text_free(&line);
}

static fg_status add_generator(store_key *k, const fg_context *context, fg_error *error)
{
    char hash[65];
    if (!context->maker || !context->maker->hash) { /* then nothing is generated, either */
        key_add(k, "generator", "none");
        return FG_OK;
    }
    fg_status status = context->maker->hash(hash, &context->memory, context->templates, error);
    if (status == FG_OK) key_add(k, "generator", hash);
    return status;
}

static void add_device(store_key *k, const fg_context *context)
{
    const maker_device d = context_maker_device(context);
    key_add(k, "device", d.name);
    key_add(k, "isa", d.isa);
    key_add_int(k, "cores", d.cores);
    key_add_int(k, "threads", d.threads);
    key_add(k, "flags", d.flags);
}

/* What a space and a prior read besides. */
static void add_caches(store_key *k, const fg_context *context)
{
    const maker_device d = context_maker_device(context);
    key_add_int(k, "l1", d.l1_bytes);
    key_add_int(k, "l2", d.l2_bytes);
    if (!d.gpu) return;
    key_add_int(k, "shared", d.shared_bytes);
    key_add_int(k, "registers", d.registers);
}

static fg_status finish(store_key *k, fg_status status, fg_error *error)
{
    if (status == FG_OK && k->fields.failed) status = fail_memory(error);
    if (status != FG_OK) key_free(k);
    return status;
}

/* The format of entries and of their keys. */
#define CHOICE_FORMAT 1

fg_status choice_key(store_key *out, store_kind kind, const fg_context *context, const problem *p,
                     const char *pins, fg_error *error)
{
    fg_status status = FG_OK;
    key_init(out, &context->memory);
    key_add_int(out, "format", CHOICE_FORMAT);
    add_line(out, context, p, PROBLEM_tuned);
    key_add(out, "pins", pins);
    add_device(out, context);
    if (kind == STORE_stored) {
        key_add_int(out, "abi", image_abi);
    } else {
        status = add_generator(out, context, error);
        key_add(out, "protocol", kind == STORE_winner ? CHOICE_PROTOCOL : "");
        add_caches(out, context);
    }
    return finish(out, status, error);
}

fg_status choice_key_add(store_key *k, const char *name, const char *value, fg_error *error)
{
    if (*value) key_add(k, name, value);
    return finish(k, FG_OK, error);
}

fg_status choice_kernel_key(store_key *out, fg_context *context, const problem *p,
                            const char *schedule, const char *config, fg_error *error)
{
    digest compiler;
    char hex[digest_text_size];
    key_init(out, &context->memory);
    fg_status status = identity_of_compiler(&compiler, context, error);
    if (status == FG_OK) status = add_generator(out, context, error);
    if (status != FG_OK) return finish(out, status, error);
    digest_format(hex, &compiler);
    key_add(out, "compiler", hex);
    key_add_int(out, "format", CHOICE_FORMAT);
    key_add_int(out, "abi", image_abi);
    add_line(out, context, p, PROBLEM_kernel);
    key_add(out, "schedule", schedule);
    key_add(out, "config", config);
    if (context->gpu) { /* how many multiprocessors there are may be in the text */
        add_device(out, context);
    } else {
        key_add(out, "isa", context->device.isa->name);
        key_add(out, "flags", context->compiler_flags);
    }
    return finish(out, status, error);
}

bool choice_stamp(digest *out, fg_context *context)
{
    store_key k;
    digest compiler = { { 0 } };
    char hex[digest_text_size];
    key_init(&k, &context->memory);
    fg_status status = identity_of_compiler(&compiler, context, NULL);
    if (status == FG_OK) status = add_generator(&k, context, NULL);
    digest_format(hex, &compiler);
    key_add(&k, "compiler", hex);
    if (finish(&k, status, NULL) != FG_OK) return false;
    *out = key_digest(&k);
    key_free(&k);
    return true;
}

bool choice_by_this_compiler(const choice *c, fg_context *context)
{
    digest now;
    return identity_of_compiler(&now, context, NULL) != FG_OK || digest_equal(&now, &c->compiler);
}

/* ---- In the store ---- */

bool choice_get(choice *out, fg_context *context, store_kind kind, const digest *d)
{
    store_entry e;
    if (!store_get(&e, context->store, kind, d)) return false;
    bool right = e.sections == 1 && choice_read(out, e.section[0].data, e.section[0].size);
    store_entry_free(&e);
    return right;
}

void choice_put(fg_context *context, store_kind kind, const store_key *k, const choice *c)
{
    text lines;
    text_init(&lines, &context->memory);
    choice_write(&lines, c);
    const store_section section = { lines.data, lines.length };
    if (!lines.failed) store_put(context->store, kind, k, &section, 1);
    text_free(&lines);
}
