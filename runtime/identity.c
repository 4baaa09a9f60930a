#include "runtime/identity.h"

#include "runtime/backend.h"
#include "runtime/content.h"
#include "runtime/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What was found, as the store keeps it too: the identity in hexadecimal, then a record of each file ("FACTS
 * PATH"), each with a 0 behind it. It holds as long as the files' facts are these. */
struct identity {
    struct identity *older; /* another thread may still look at it */
    digest key, value;
    size_t length;
    char content[];
};

/* Which libraries a program loads may change with it; its content is in no identity. */
static const char loader_cache[] = "/etc/ld.so.cache";

/* ---- Records ---- */

enum { record_size = PATH_MAX + 160 };

static void record_facts(char out[record_size], const char *path, const struct stat *facts)
{
    const struct timespec *m = &facts->st_mtim, *c = &facts->st_ctim;
    snprintf(out, record_size, "%llu %llu %lld %lld.%09ld %lld.%09ld %s",
             (unsigned long long)facts->st_dev, (unsigned long long)facts->st_ino,
             (long long)facts->st_size, (long long)m->tv_sec, m->tv_nsec, (long long)c->tv_sec,
             c->tv_nsec, path);
}

static void record_make(char out[record_size], const char *path)
{
    struct stat facts;
    if (stat(path, &facts) == 0)
        record_facts(out, path, &facts);
    else
        snprintf(out, record_size, "none %s", path);
}

/* Whether these are records, one is of the driver, and all files are as they were. */
static bool records_hold(const char *records, size_t length, const char *driver)
{
    char now[record_size];
    bool driven = false;
    for (const char *next = records; next < records + length; next += strlen(next) + 1) {
        const char *path = strchr(next, '/'); /* facts have none */
        if (!path || strlen(path) >= PATH_MAX) return false;
        record_make(now, path);
        if (strcmp(next, now) != 0) return false;
        driven |= strcmp(path, driver) == 0;
    }
    return driven;
}

static bool holds(const char *content, size_t length, const char *driver)
{
    enum { head = digest_text_size };
    return length > head && content[head - 1] == 0 && content[length - 1] == 0 &&
           records_hold(content + head, length - head, driver);
}

/* ---- Contents ---- */

/* A change within the clock's tick of the last one would not show in the facts. */
static void let_tick(const struct stat *facts)
{
    enum { tick_ns = 20000000 };
    struct timespec now, pause = { .tv_nsec = tick_ns };
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t past = (now.tv_sec - facts->st_ctim.tv_sec) * INT64_C(1000000000) + now.tv_nsec -
                   facts->st_ctim.tv_nsec;
    if (past >= 0 && past < tick_ns) nanosleep(&pause, NULL);
}

/* The threads that read, and what they read into. */
typedef struct desk {
    int threads;
    unsigned char *buffer;
} desk;

/* The facts are of before the content: whoever changes it meanwhile changes them. */
static bool hash_file(digest *out, char record[record_size], const char *path, const desk *at)
{
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && fstat(fd, &facts) == 0;
    if (good && !S_ISREG(facts.st_mode)) good = false, errno = ENOEXEC;
    if (good) {
        record_facts(record, path, &facts);
        let_tick(&facts);
        good = content_hash(out, fd, facts.st_size, at->buffer, at->threads);
    }
    int code = errno;
    if (fd >= 0) close(fd);
    errno = code;
    return good;
}

/* The name and content of each file into `contents`, its record into `records`. One that cannot be read
 * counts by its facts, unless it is the driver. */
static fg_status add_files(store_key *contents, text *records, const toolchain_file *file,
                           const char *driver, int cores, fg_error *error)
{
    char record[record_size], hex[digest_text_size];
    digest content;
    desk at = { .threads = cores < content_threads ? cores : content_threads };
    at.buffer = memory_new(records->memory, (size_t)at.threads, content_piece);
    fg_status status = at.buffer ? FG_OK : fail_memory(error);
    for (; file && status == FG_OK; file = file->next) {
        bool read = hash_file(&content, record, file->path, &at);
        if (!read && strcmp(file->path, driver) == 0)
            status = fail(error, FG_COMPILER, "cannot read the compiler %.500s: %s", driver,
                          errno_text(errno));
        if (read)
            digest_format(hex, &content);
        else
            record_make(record, file->path);
        key_add(contents, file->path, read ? hex : record);
        text_add(records, record, strlen(record) + 1);
    }
    memory_free(records->memory, at.buffer, (size_t)at.threads * content_piece);
    return status;
}

/* ---- Made, read, kept ---- */

static struct identity *identity_new(const memory *m, const digest *key, const char *content,
                                     size_t length)
{
    struct identity *i = memory_new(m, 1, sizeof *i + length);
    if (!i) return NULL;
    i->key = *key;
    i->length = length;
    memcpy(i->content, content, length);
    digest_parse(&i->value, content, digest_text_size - 1);
    return i;
}

static void identity_drop(const memory *m, struct identity *i)
{
    memory_free(m, i, sizeof *i + i->length);
}

static fg_status make_of(struct identity **out, const fg_context *context, const toolchain *t,
                         const digest *key, const char *driver, fg_error *error)
{
    const memory *m = &context->memory;
    char record[record_size], hex[digest_text_size];
    store_key contents;
    text records, content;
    key_init(&contents, m);
    text_init(&records, m);
    text_init(&content, m);
    fg_status status =
        add_files(&contents, &records, t->files, driver, context->device.cores, error);
    if (status != FG_OK) goto out;
    record_make(record, loader_cache);
    text_add(&records, record, strlen(record) + 1);
    status = contents.fields.failed || records.failed ? fail_memory(error) : FG_OK;
    if (status != FG_OK) goto out;
    const digest value = key_digest(&contents);
    digest_format(hex, &value);
    text_add(&content, hex, sizeof hex);
    text_add(&content, records.data, records.length);
    *out = content.failed ? NULL : identity_new(m, key, content.data, content.length);
    if (!*out) status = fail_memory(error);
out:
    text_free(&content);
    text_free(&records);
    key_free(&contents);
    return status;
}

/* Looks for the files and reads them all. */
static fg_status make(struct identity **out, fg_context *context, const store_key *key,
                      const char *driver, fg_error *error)
{
    toolchain t;
    const digest d = key_digest(key);
    fg_status status = context->backend->parts(&t, context, driver, error);
    if (status == FG_OK) status = make_of(out, context, &t, &d, driver, error);
    bool keep = status == FG_OK && t.whole;
    toolchain_free(&t);
    const store_section section = { keep ? (*out)->content : NULL, keep ? (*out)->length : 0 };
    if (keep) store_put(context->store, STORE_compiler, key, &section, 1);
    return status;
}

/* NULL: the store has none that holds, or there is no memory for it. */
static struct identity *read_stored(fg_context *context, const digest *key, const char *driver)
{
    struct identity *i = NULL;
    store_entry e;
    digest value;
    if (!store_get(&e, context->store, STORE_compiler, key)) return NULL;
    const store_section *s = &e.section[0];
    if (e.sections == 1 && holds(s->data, s->size, driver) &&
        digest_parse(&value, s->data, digest_text_size - 1))
        i = identity_new(&context->memory, key, s->data, s->size);
    store_entry_free(&e);
    return i;
}

/* What the identity's place in the store depends on. PATH: where gcc looks for its assembler. */
static fg_status make_key(store_key *out, const fg_context *context, const char *driver,
                          fg_error *error)
{
    char record[record_size];
    const char *path = secure_getenv("PATH");
    key_init(out, &context->memory);
    record_make(record, driver);
    key_add(out, "format", "2");
    key_add(out, "compiler", context->compiler);
    key_add(out, "driver", record);
    key_add(out, "path", path ? path : "");
    return out->fields.failed ? fail_memory(error) : FG_OK;
}

static fg_status find(digest *out, fg_context *context, const store_key *key, const char *driver,
                      fg_error *error)
{
    fg_status status = FG_OK;
    const digest d = key_digest(key);
    struct identity *known = atomic_load(&context->identity), *found;
    if (known && digest_equal(&known->key, &d) && holds(known->content, known->length, driver)) {
        *out = known->value;
        return FG_OK;
    }
    found = read_stored(context, &d, driver);
    if (!found) status = make(&found, context, key, driver, error);
    if (status != FG_OK) return status;
    *out = found->value;
    found->older = known;
    if (!atomic_compare_exchange_strong(&context->identity, &known, found))
        identity_drop(&context->memory, found); /* another thread looked too */
    return FG_OK;
}

fg_status identity_of_compiler(digest *out, fg_context *context, fg_error *error)
{
    char driver[PATH_MAX];
    store_key key;
    if (!context->compiler) return fail(error, FG_COMPILER, "%s", context->compiler_missing);
    if (!realpath(context->compiler, driver))
        return fail(error, FG_COMPILER, "cannot read the compiler %.500s: %s", context->compiler,
                    errno_text(errno));
    fg_status status = make_key(&key, context, driver, error);
    if (status == FG_OK) status = find(out, context, &key, driver, error);
    key_free(&key);
    return status;
}

void identity_free(fg_context *context)
{
    struct identity *next = atomic_load(&context->identity);
    while (next) {
        struct identity *i = next;
        next = i->older;
        identity_drop(&context->memory, i);
    }
}
