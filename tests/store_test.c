/* Entries: what was put comes back; whatever is amiss with one is a miss, and the next put heals it. */
#include "tests/store_support.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

START_TEST(keys)
{
    static const char known[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char name[digest_text_size];
    size_t length = 0;
    digest d = digest_of(NULL, 0), back;
    digest_format(name, &d);
    ck_assert_str_eq(name, known);
    ck_assert(digest_parse(&back, name, 64) && digest_equal(&d, &back));
    ck_assert(!digest_parse(&back, name, 63));
    ck_assert(!digest_parse(
        &back, "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 64));
    ck_assert(!digest_parse(
        &back, "g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 64));

    store_key k = numbered_key(7, NULL);
    const char *value = key_find(k.fields.data, k.fields.length, "problem", &length);
    ck_assert(value && length == 13 && memcmp(value, "dtype=f32 b=7", 13) == 0);
    value = key_find(k.fields.data, k.fields.length, "config", &length);
    ck_assert(value && length == 1 && *value == '7');
    ck_assert_ptr_null(key_find(k.fields.data, k.fields.length, "test", &length));
    ck_assert_ptr_null(key_find(k.fields.data, k.fields.length, "prob", &length));
    for (size_t size = 0; size < k.fields.length; size++) {
        value = key_find(k.fields.data, size, "config", &length);
        ck_assert_ptr_null(value);
    }
    key_free(&k);
}
END_TEST

/* Moving a byte from one field to the next is another key. */
START_TEST(keys_are_prefixed)
{
    store_key a, b;
    key_init(&a, &memory_default);
    key_init(&b, &memory_default);
    key_add(&a, "ab", "c");
    key_add(&b, "a", "bc");
    digest x = key_digest(&a), y = key_digest(&b);
    ck_assert(!digest_equal(&x, &y));
    key_free(&a);
    key_free(&b);
}
END_TEST

START_TEST(round_trip)
{
    store *s = store_here(), *other;
    ck_assert(!exists(in("store"))); /* opening touches nothing */
    ck_assert(!get_numbered(s, STORE_kernel, 0));
    ck_assert(!exists(in("store")));
    for (int n = 0; n < 50; n++) put_numbered(s, (store_kind)(n % store_kind_count), n, NULL);
    for (int n = 0; n < 50; n++) {
        ck_assert(get_numbered(s, (store_kind)(n % store_kind_count), n));
        ck_assert(!get_numbered(s, (store_kind)((n + 1) % store_kind_count), n));
    }
    ck_counts(s, 50, 51, 0, 50, 0);
    other = store_here();
    ck_assert(get_numbered(other, STORE_winner, 1));
    ck_assert_str_eq(store_path(other), in("store"));
    ck_assert_int_eq(warnings, 0);
    ck_assert_int_eq(entries(in("store/new")), 0);
    store_close(other);
    store_close(s);
}
END_TEST

START_TEST(no_store)
{
    store *s = store_with("", NULL, NULL, NULL);
    ck_assert_ptr_null(s);
    ck_assert(!get_numbered(s, STORE_kernel, 0));
    put_numbered(s, STORE_kernel, 0, NULL);
    digest d = numbered_digest(0);
    store_lock lock = store_lock_take(s, &d, 1);
    ck_assert_int_eq(lock.fd, -1);
    store_lock_drop(&lock);
    ck_counts(s, 0, 0, 0, 0, 0);
    ck_assert_ptr_null(store_path(s));
    store_close(s);
}
END_TEST

/* Only this user reads what it keeps. */
START_TEST(modes)
{
    struct stat info;
    umask(0);
    in_folder();
    store *s = store_with(in("a/b/store"), NULL, NULL, NULL);
    put_numbered(s, STORE_kernel, 1, NULL);
    static const char *const folders[] = { "a", "a/b", "a/b/store", "a/b/store/kernel",
                                           "a/b/store/new" };
    for (int n = 0; n < 5; n++) {
        ck_assert_int_eq(stat(in("%s", folders[n]), &info), 0);
        ck_assert_int_eq(info.st_mode & 07777, 0700);
    }
    store_close(s);
}
END_TEST

/* ---- Damage ---- */

/* Puts `bytes` in the place of entry 1, which is then a miss, and healed by a put. */
static void damaged_then_healed(store *s, const void *bytes, size_t size, bool heal)
{
    fg_store_counts before = store_counts(s);
    file_put(path_of(STORE_kernel, 1), bytes, size);
    ck_assert(!get_numbered(s, STORE_kernel, 1));
    fg_store_counts after = store_counts(s);
    ck_assert_int_eq((int)(after.damaged - before.damaged), 1);
    ck_assert_int_eq((int)(after.misses - before.misses), 0);
    if (!heal) return;
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert(get_numbered(s, STORE_kernel, 1));
}

typedef struct damage {
    store *store;
    unsigned char *bytes;
    size_t size;
} damage;

static damage damage_new(void)
{
    damage d = { .store = store_quick() };
    put_numbered(d.store, STORE_kernel, 1, NULL);
    d.bytes = (unsigned char *)support_read(path_of(STORE_kernel, 1), &d.size);
    ck_assert(d.bytes && d.size > 900);
    return d;
}

static void damage_free(damage *d)
{
    damaged_then_healed(d->store, "", 0, true);
    store_close(d->store);
    free(d->bytes);
}

START_TEST(truncated)
{
    damage d = damage_new();
    for (size_t size = 0; size < d.size; size++)
        damaged_then_healed(d.store, d.bytes, size, size % 50 == 0);
    unsigned char *longer = calloc(d.size + 1, 1);
    memcpy(longer, d.bytes, d.size);
    damaged_then_healed(d.store, longer, d.size + 1, true);
    free(longer);
    damage_free(&d);
}
END_TEST

static void flip(damage *d, size_t bit, bool heal)
{
    d->bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    damaged_then_healed(d->store, d->bytes, d->size, heal);
    d->bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
}

START_TEST(header_bits)
{
    damage d = damage_new();
    for (size_t bit = 0; bit < (size_t)80 * 8; bit++) flip(&d, bit, bit % 50 == 0);
    damage_free(&d);
}
END_TEST

START_TEST(payload_bits)
{
    damage d = damage_new();
    rng r = rng_new(3, 0);
    for (int n = 0; n < 10000; n++)
        flip(&d, (size_t)rng_between(&r, 80 * 8, (int64_t)d.size * 8 - 1), n % 500 == 0);
    damage_free(&d);
}
END_TEST

/* Whether it is read; then every section is within it. */
static bool reads_within(const unsigned char *bytes, size_t size)
{
    store_entry e;
    const char *why;
    unsigned char *block = memory_new(&memory_default, size, 1);
    memcpy(block, bytes, size);
    bool read = store_entry_read(&e, &memory_default, block, size, STORE_kernel, NULL, &why);
    ck_assert(read == (why == NULL));
    for (int n = 0; read && n < e.sections; n++) {
        const unsigned char *start = e.section[n].data;
        ck_assert(start >= block && e.section[n].size <= (size_t)(block + size - start));
    }
    memory_free(&memory_default, block, size);
    return read;
}

/* Lengths that lie, under a hash that holds. */
START_TEST(lying_sizes)
{
    damage d = damage_new();
    rng r = rng_new(4, 0);
    int read = 0;
    static const uint64_t lies[] = { 1,         15, 16, 17, 1ull << 32, UINT64_MAX, UINT64_MAX - 15,
                                     1ull << 63 };
    ck_assert(reads_within(d.bytes, d.size));
    for (int n = 0; n < 20000; n++) {
        unsigned char *at = d.bytes + 8 + 8 * rng_below(&r, 8);
        uint64_t was, lie;
        memcpy(&was, at, 8);
        lie = rng_chance(&r, 0.5) ? was + rng_pick(&r, lies) : was - rng_pick(&r, lies);
        memcpy(at, &lie, 8);
        digest sealed = digest_of(d.bytes, d.size - digest_bytes);
        memcpy(d.bytes + d.size - digest_bytes, sealed.byte, digest_bytes);
        read += reads_within(d.bytes, d.size);
        memcpy(at, &was, 8);
    }
    ck_assert_int_lt(read, 10000);
    damage_free(&d);
}
END_TEST

START_TEST(renamed)
{
    store *s = store_here();
    put_numbered(s, STORE_kernel, 1, NULL);
    ck_assert_int_eq(rename(path_of(STORE_kernel, 1), path_of(STORE_kernel, 2)), 0);
    ck_assert(!get_numbered(s, STORE_kernel, 2));
    put_numbered(s, STORE_winner, 3, NULL);
    ck_assert_int_eq(rename(path_of(STORE_winner, 3), path_of(STORE_kernel, 3)), 0);
    ck_assert(!get_numbered(s, STORE_kernel, 3));
    ck_counts(s, 0, 0, 2, 2, 0);
    store_close(s);
}
END_TEST

/* ---- What is no file ---- */

static void make_fifo(const char *path)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void make_link(const char *path)
{
    ck_assert_int_eq(symlink(in("copy"), path), 0);
}

static void make_dangling(const char *path)
{
    ck_assert_int_eq(symlink("/no/such/file", path), 0);
}

static void make_folder(const char *path)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void make_full_folder(const char *path)
{
    char inner[600];
    make_folder(path);
    snprintf(inner, sizeof inner, "%s/file", path);
    file_put(inner, "x", 1);
}

static void make_socket(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(chdir(in("store/kernel")), 0); /* the name is of 108 bytes at most */
    snprintf(name.sun_path, sizeof name.sun_path, "%s", strrchr(path, '/') + 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
}

static void make_writable(const char *path)
{
    ck_assert_int_eq(rename(in("copy"), path), 0);
    ck_assert_int_eq(chmod(path, 0620), 0);
}

START_TEST(strangers)
{
    static void (*const makes[])(const char *path) = {
        make_fifo,        make_link,   make_dangling, make_folder,
        make_full_folder, make_socket, make_writable,
    };
    store *s = store_here();
    int files = stub_open_files();
    for (size_t n = 0; n < sizeof makes / sizeof *makes; n++) {
        fg_store_counts before = store_counts(s);
        put_numbered(s, STORE_kernel, 1, NULL);
        ck_assert_int_eq(rename(path_of(STORE_kernel, 1), in("copy")), 0);
        makes[n](path_of(STORE_kernel, 1));
        ck_assert_msg(!get_numbered(s, STORE_kernel, 1), "stranger %zu", n);
        ck_assert_int_eq((int)(store_counts(s).damaged - before.damaged), 1);
        put_numbered(s, STORE_kernel, 1, NULL);
        ck_assert_msg(get_numbered(s, STORE_kernel, 1), "stranger %zu is not healed", n);
    }
    ck_assert_int_eq(warnings, 0);
    ck_assert_int_eq(stub_open_files(), files);
    store_close(s);
}
END_TEST

/* ---- Being used ---- */

static int64_t age_of(const char *path)
{
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    return (int64_t)time(NULL) - (int64_t)info.st_mtim.tv_sec;
}

static void age(const char *path, int64_t seconds)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = time(NULL) - seconds } };
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(a_use_is_noted_once_a_day)
{
    store *s = store_here();
    put_numbered(s, STORE_kernel, 1, NULL);
    age(path_of(STORE_kernel, 1), 3600);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_ge(age_of(path_of(STORE_kernel, 1)), 3600);
    age(path_of(STORE_kernel, 1), 90000);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_lt(age_of(path_of(STORE_kernel, 1)), 3600);
    age(path_of(STORE_kernel, 1), -90000);
    ck_assert(get_numbered(s, STORE_kernel, 1));
    ck_assert_int_ge(age_of(path_of(STORE_kernel, 1)), 0);
    store_close(s);
}
END_TEST

/* By its name alone: other entries cost nothing. */
static struct dirent *no_readdir(DIR *list)
{
    (void)list;
    ck_abort_msg("a directory is read");
}

START_TEST(many_entries)
{
    store_calls calls = *quick_calls();
    calls.readdir = no_readdir;
    in_folder();
    store *s = store_with(in("store"), NULL, &calls, NULL);
    for (int n = 0; n < 300; n++) put_numbered(s, STORE_kernel, n, NULL);
    for (int n = 0; n < 300; n++) ck_assert(get_numbered(s, STORE_kernel, n));
    store_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        keys,         keys_are_prefixed,
        round_trip,   no_store,
        modes,        truncated,
        header_bits,  payload_bits,
        lying_sizes,  renamed,
        strangers,    a_use_is_noted_once_a_day,
        many_entries, NULL,
    };
    return support_run("store", tests);
}
