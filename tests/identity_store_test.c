/* A compiler's identity in the store, sound and damaged. */
#include "runtime/store_entry.h"
#include "tests/compiler_stub.h"

/* The one entry that there is of a compiler. */
static char *entry_path(void)
{
    static char path[600];
    DIR *d = opendir(in("store/compiler"));
    ck_assert_ptr_nonnull(d);
    *path = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (*e->d_name == '.') continue;
        ck_assert_msg(!*path, "a second entry");
        snprintf(path, sizeof path, "%s/store/compiler/%s", folder, e->d_name);
    }
    closedir(d);
    return path;
}

START_TEST(another_context_only_looks)
{
    in_compiler_folder();
    digest first = stored_identity();
    ck_assert_int_eq(runs(), 3);
    int watch = watch_folder();
    assert_same(stored_identity(), first);
    assert_same(stored_identity(), first);
    ck_assert_int_eq(runs(), 0);
    close(watch);
    write_file("cc1", "the second one");
    digest second = stored_identity();
    assert_other(second, first);
    ck_assert_int_eq(runs(), 3);
    assert_same(stored_identity(), second);
    ck_assert_int_eq(runs(), 0);
    ck_assert_str_ne(entry_path(), ""); /* in the first one's place */
}
END_TEST

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+");
    ck_assert_ptr_nonnull(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

START_TEST(a_damaged_entry_is_a_miss)
{
    struct stat info;
    in_compiler_folder();
    digest first = stored_identity();
    ck_assert_int_eq(runs(), 3);
    ck_assert_int_eq(stat(entry_path(), &info), 0);
    for (long at = 0; at < info.st_size; at += 101) {
        flip(entry_path(), at);
        assert_same(stored_identity(), first);
        ck_assert_int_eq(runs(), 3);
        assert_same(stored_identity(), first); /* healed */
        ck_assert_int_eq(runs(), 0);
    }
    ck_assert_int_eq(truncate(entry_path(), info.st_size / 2), 0);
    assert_same(stored_identity(), first);
    ck_assert_int_eq(runs(), 3);
}
END_TEST

/* Puts a well-formed entry under the same key, with this content. */
static void put(const void *content, size_t size)
{
    store_entry e;
    const char *why = NULL;
    size_t length;
    char *bytes = support_read(entry_path(), &length);
    void *block = memory_new(&memory_default, length, 1);
    memcpy(block, bytes, length);
    ck_assert(store_entry_read(&e, &memory_default, block, length, STORE_compiler, NULL, &why));
    store_key k;
    key_init(&k, &memory_default);
    text_add(&k.fields, e.fields.data, e.fields.size);
    const store_section section = { content, size };
    fg_context *context = context_with(in("cc"), in("store"));
    store_put(context->store, STORE_compiler, &k, &section, 1);
    fg_context_free(context);
    key_free(&k);
    store_entry_free(&e);
    free(bytes);
}

START_TEST(nonsense_is_a_miss)
{
    static char good[4096], bad[4096 + PATH_MAX + 1];
    store_entry e;
    const char *why = NULL;
    size_t length;
    in_compiler_folder();
    digest first = stored_identity();
    char *bytes = support_read(entry_path(), &length);
    void *block = memory_new(&memory_default, length, 1);
    memcpy(block, bytes, length);
    ck_assert(store_entry_read(&e, &memory_default, block, length, STORE_compiler, NULL, &why));
    size_t size = e.section[0].size;
    ck_assert(e.sections == 1 && size < sizeof good);
    memcpy(good, e.section[0].data, size);
    store_entry_free(&e);
    free(bytes);

    put(good, size); /* as it was: no miss */
    runs();
    assert_same(stored_identity(), first);
    ck_assert_int_eq(runs(), 0);
    const struct {
        size_t from, size;
        const char *text;
        size_t length;
    } edits[] = {
        { 0, size, "", 0 },                     /* nothing */
        { 64, size - 64, "", 0 },               /* no records */
        { 65, size - 65, "", 0 },               /* the same */
        { 65, size - 65, "none /no/such", 14 }, /* none of the driver */
        { 0, 64, "x", 1 },                      /* no identity */
        { 0, 1, "x", 1 },                       /* not in hexadecimal */
        { 64, 1, "/", 1 },                      /* no end of it */
        { size - 1, 1, "", 0 },                 /* no end of a record */
        { size - 1, 1, "\0\0", 2 },             /* an empty record */
        { size, 0, "text\0", 5 },               /* no path */
        { 70, 1, "#", 1 },                      /* other facts */
    };
    for (size_t k = 0; k < sizeof edits / sizeof *edits; k++) {
        size_t from = edits[k].from, behind = from + edits[k].size, added = edits[k].length;
        memcpy(bad, good, from);
        memcpy(bad + from, edits[k].text, added);
        memcpy(bad + from + added, good + behind, size - behind);
        put(bad, size - edits[k].size + added);
        assert_same(stored_identity(), first);
        ck_assert_msg(runs() == 3, "edit %zu", k);
    }
    memcpy(bad, good, size);
    memset(bad + size, '/', PATH_MAX + 1); /* too long a path */
    bad[size + PATH_MAX] = 0;
    put(bad, size + PATH_MAX + 1);
    assert_same(stored_identity(), first);
    ck_assert_int_eq(runs(), 3);
}
END_TEST

/* What was too slow once is not kept for all times. */
START_TEST(a_slow_answer_is_not_stored)
{
    char slow[300];
    in_compiler_folder();
    snprintf(slow, sizeof slow, "if [ -e %s/slow ]; then sleep 100; fi", folder);
    write_compiler(slow);
    write_file("slow", "");
    patience = 0.3;
    digest alone = stored_identity();
    ck_assert_int_eq(runs(), 1);
    patience = 60;
    ck_assert_int_eq(unlink(in("slow")), 0);
    digest whole = stored_identity();
    ck_assert_int_eq(runs(), 3);
    assert_other(alone, whole);
    write_file("slow", "");
    assert_same(stored_identity(), whole);
    ck_assert_int_eq(runs(), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        another_context_only_looks,
        a_damaged_entry_is_a_miss,
        nonsense_is_a_miss,
        a_slow_answer_is_not_stored,
        NULL,
    };
    return support_run("identity_store", tests);
}
