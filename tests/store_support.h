/* Stores in a folder of the test's own, and numbered entries whose contents follow from their number. */
#ifndef TESTS_STORE_SUPPORT_H
#define TESTS_STORE_SUPPORT_H

#include "runtime/store_entry.h"
#include "tests/runtime_stub.h"
#include "tests/support_random.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static int warnings;
static char warning[2048]; /* the last */

static inline void on_warning(void *user, const char *sentence)
{
    (void)user;
    warnings++;
    snprintf(warning, sizeof warning, "%s", sentence);
}

/* A path in the test's folder; the last 8 stay good. */
static inline const char *in(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *in(const char *format, ...)
{
    static char paths[8][512];
    static int next;
    char *out = paths[next++ % 8], rest[400];
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    snprintf(out, sizeof paths[0], "%s/%s", folder, rest);
    return out;
}

static inline store *store_with(const char *path, const char *shared, const store_calls *calls,
                                const memory *m)
{
    store *s = NULL;
    fg_error error;
    store_options o = {
        m ? m : &memory_default, path, shared, calls ? calls : &store_calls_system, on_warning, NULL
    };
    ck_assert_int_eq(store_open(&s, &o, &error), FG_OK);
    return s;
}

/* The test's own, in its folder. */
static inline store *store_here(void)
{
    if (!folder[0]) in_folder();
    return store_with(in("store"), NULL, NULL, NULL);
}

static inline int no_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Without waiting for the disk: for those who put thousands. */
static inline const store_calls *quick_calls(void)
{
    static store_calls calls;
    calls = store_calls_system;
    calls.fsync = no_fsync;
    return &calls;
}

/* In memory where that can be. */
static inline void in_quick_folder(void)
{
    in_folder();
    char quick[] = "/dev/shm/flashgen-test-XXXXXX";
    if (!mkdtemp(quick)) return;
    remove_folder();
    strcpy(folder, quick);
    ck_assert_int_eq(setenv("TMPDIR", folder, 1), 0);
}

static inline store *store_quick(void)
{
    if (!folder[0]) in_quick_folder();
    return store_with(in("store"), NULL, quick_calls(), NULL);
}

/* ---- Numbered entries ---- */

enum { part_sizes = 3 };

static inline store_key numbered_key(int n, const memory *m)
{
    store_key k;
    key_init(&k, m ? m : &memory_default);
    char line[64];
    snprintf(line, sizeof line, "dtype=f32 b=%d", n);
    key_add(&k, "format", "test");
    key_add(&k, "problem", line);
    key_add(&k, "schedule", "c");
    key_add_int(&k, "config", n);
    return k;
}

static inline digest numbered_digest(int n)
{
    store_key k = numbered_key(n, NULL);
    digest d = key_digest(&k);
    key_free(&k);
    return d;
}

/* Of section `part` of entry n. */
static inline size_t numbered_size(int n, int part)
{
    static const int sizes[part_sizes] = { 700, 0, 61 };
    return (size_t)(sizes[part] ? sizes[part] + n % 37 : 0);
}

static inline void numbered_fill(unsigned char *data, int n, int part)
{
    rng r = rng_new((uint64_t)n, (uint64_t)part);
    for (size_t k = 0; k < numbered_size(n, part); k++) data[k] = (unsigned char)rng_next(&r);
}

static inline void put_numbered(store *s, store_kind kind, int n, const memory *m)
{
    unsigned char data[part_sizes][1024];
    store_section sections[part_sizes];
    store_key k = numbered_key(n, m);
    for (int part = 0; part < part_sizes; part++) {
        numbered_fill(data[part], n, part);
        sections[part] = (store_section){ data[part], numbered_size(n, part) };
    }
    store_put(s, kind, &k, sections, part_sizes);
    key_free(&k);
}

static inline bool is_numbered(const store_entry *e, int n)
{
    unsigned char data[1024];
    if (e->sections != part_sizes) return false;
    for (int part = 0; part < part_sizes; part++) {
        numbered_fill(data, n, part);
        if (e->section[part].size != numbered_size(n, part)) return false;
        if (e->section[part].size && memcmp(e->section[part].data, data, e->section[part].size))
            return false;
    }
    return true;
}

/* Whether it is there; if so it must be right. */
static inline bool get_numbered(store *s, store_kind kind, int n)
{
    store_entry e;
    digest d = numbered_digest(n);
    if (!store_get(&e, s, kind, &d)) return false;
    ck_assert_msg(is_numbered(&e, n), "entry %d is wrong", n);
    store_entry_free(&e);
    return true;
}

static inline const char *path_of(store_kind kind, int n)
{
    static const char *const kinds[] = { "kernel", "winner", "stored", "estimate", "compiler" };
    char name[digest_text_size];
    digest d = numbered_digest(n);
    digest_format(name, &d);
    return in("store/%s/%s", kinds[kind], name);
}

/* ---- Files ---- */

static inline void file_put(const char *path, const void *data, size_t size)
{
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert(fwrite(data, 1, size, out) == size);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
}

static inline bool exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

/* Of the entries 0 to 7 the first, second, third and fifth; and what is not ours beside them. */
static inline void spoil(store *s)
{
    for (int n = 0; n < 8; n++) put_numbered(s, STORE_kernel, n, NULL);
    ck_assert_int_eq(truncate(path_of(STORE_kernel, 0), 300), 0);
    ck_assert_int_eq(unlink(path_of(STORE_kernel, 1)), 0);
    ck_assert_int_eq(mkfifo(path_of(STORE_kernel, 1), 0600), 0);
    ck_assert_int_eq(unlink(path_of(STORE_kernel, 2)), 0);
    ck_assert_int_eq(symlink(path_of(STORE_kernel, 3), path_of(STORE_kernel, 2)), 0);
    ck_assert_int_eq(unlink(path_of(STORE_kernel, 4)), 0);
    ck_assert_int_eq(mkdir(path_of(STORE_kernel, 4), 0700), 0);
    file_put(in("store/kernel/README"), "mine", 4);
    file_put(in("store/notes"), "mine", 4);
    file_put(in("store/new/notes"), "mine", 4);
}

static uid_t faked_owner;

static inline int fstat_of_another(int fd, struct stat *info)
{
    int result = fstat(fd, info);
    if (S_ISDIR(info->st_mode)) info->st_uid = faked_owner;
    return result;
}

static inline int no_visit(void *user, const fg_store_entry *entry)
{
    (void)user;
    (void)entry;
    ck_abort_msg("something is visited");
}

static inline void ck_counts(const store *s, int hits, int misses, int damaged, int written,
                             int unwritten)
{
    fg_store_counts c = store_counts(s);
    ck_assert_int_eq((int)c.hits, hits);
    ck_assert_int_eq((int)c.misses, misses);
    ck_assert_int_eq((int)c.damaged, damaged);
    ck_assert_int_eq((int)c.written, written);
    ck_assert_int_eq((int)c.unwritten, unwritten);
}

#endif
