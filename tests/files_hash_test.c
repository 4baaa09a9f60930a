/* The maker's hash: of the built-in templates, or of those of a directory that overrides them. */
#include "gen/core/embedded.h"
#include "gen/core/maker.h"
#include "tests/lua_support.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct hash {
    char text[65];
} hash;

static hash hash_of(const char *directory)
{
    hash h;
    fg_error error = { 0 };
    fg_status s = maker_installed->hash(h.text, &memory_default, directory, &error);
    ck_assert_msg(s == FG_OK, "%s", error.text);
    ck_assert_uint_eq(strspn(h.text, "0123456789abcdef"), 64);
    ck_assert_uint_eq(strlen(h.text), 64);
    return h;
}

static void assert_built_in(const char *directory, bool right)
{
    hash h = hash_of(directory), built_in = hash_of(NULL);
    ck_assert_int_eq(strcmp(h.text, built_in.text) == 0, right);
}

static void hash_fails(const char *directory, const char *part)
{
    char out[65];
    fg_error error = { 0 };
    fg_status s = maker_installed->hash(out, &memory_default, directory, &error);
    ck_assert_int_eq(s, FG_REQUEST);
    ck_assert_msg(strstr(error.text, part) != NULL, "'%s' has no '%s'", error.text, part);
}

START_TEST(the_built_in_one)
{
    unsigned char both[128], digest[crypto_hash_sha256_BYTES];
    char hex[65];
    memcpy(both, embedded_hash, 64);
    memcpy(both + 64, embedded_gen_hash, 64);
    crypto_hash_sha256(digest, both, sizeof both);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    ck_assert_str_eq(hash_of(NULL).text, hex);
}
END_TEST

START_TEST(a_directory_that_changes_nothing)
{
    lua_folder_clear();
    assert_built_in(lua_folder, true);
    lua_file("templates/forward/.c.lua.swp", "an editor's");
    lua_file("templates/forward/c.lua~", "an editor's");
    lua_file("templates/forward/#c.lua#", "an editor's");
    lua_file("gen/lua.c", "not what a state reads");
    lua_file("gen/core/text.lua", "nor this");
    lua_file("README.md", "nor this");
    assert_built_in(lua_folder, true);
    for (size_t k = 0; k < embedded_file_count; k++)
        lua_file(embedded_files[k].name, embedded_files[k].text);
    assert_built_in(lua_folder, true);
    assert_built_in(FLASHGEN_SOURCE_DIR, true);
}
END_TEST

START_TEST(one_file_counts)
{
    static const char *const names[] = { "templates/forward/c.c.t",
                                         "templates/forward/c.lua",
                                         "templates/variant/causal.lua",
                                         "gen/base.lua",
                                         "templates/new.lua",
                                         "templates/a/b/c/new.t",
                                         "gen/new.lua" };
    hash seen[sizeof names / sizeof *names];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        lua_folder_clear();
        lua_file(names[k], "-- changed\n");
        assert_built_in(lua_folder, false);
        seen[k] = hash_of(lua_folder);
        for (size_t n = 0; n < k; n++) ck_assert_str_ne(seen[n].text, seen[k].text);
        lua_file(names[k], "-- changex\n");
        ck_assert_str_ne(hash_of(lua_folder).text, seen[k].text);
    }
}
END_TEST

/* By the tree alone: not by the order of a folder's entries, nor by where it lies. */
START_TEST(the_same_files_the_same_hash)
{
    char link[64];
    lua_folder_clear();
    lua_file("templates/x/one.lua", "1");
    lua_file("templates/x/two.lua", "2");
    hash first = hash_of(lua_folder);
    lua_folder_clear();
    lua_file("templates/x/two.lua", "2");
    lua_file("templates/x/one.lua", "1");
    ck_assert_str_eq(hash_of(lua_folder).text, first.text);
    snprintf(link, sizeof link, "%s/../%s", lua_folder, strrchr(lua_folder, '/') + 1);
    ck_assert_str_eq(hash_of(link).text, first.text);
    lua_folder_clear();
    lua_file("elsewhere/one.lua", "1");
    lua_file("elsewhere/two.lua", "2");
    snprintf(link, sizeof link, "%s/templates", lua_folder);
    ck_assert_int_eq(mkdir(link, 0700), 0);
    snprintf(link, sizeof link, "%s/templates/x", lua_folder);
    ck_assert_int_eq(symlink("../elsewhere", link), 0);
    ck_assert_str_eq(hash_of(lua_folder).text, first.text);
}
END_TEST

START_TEST(directories_that_cannot_be_read)
{
    char path[200];
    lua_folder_clear();
    hash_fails("/no/such/folder", "is no directory that can be read");
    hash_fails("/dev/null", "is no directory that can be read");
    lua_file("templates/a/1/2/3/4/5/6/deep.lua", "");
    assert_built_in(lua_folder, false);
    lua_file("templates/a/1/2/3/4/5/6/7/deep.lua", "");
    hash_fails(lua_folder, "nested too deep");
    lua_folder_clear();
    lua_file("templates/a.lua", "");
    snprintf(path, sizeof path, "%s/templates/loop", lua_folder);
    ck_assert_int_eq(symlink(".", path), 0);
    hash_fails(lua_folder, "nested too deep");
    lua_folder_clear();
    lua_file("templates/a.lua", "");
    snprintf(path, sizeof path, "%s/templates/fifo.lua", lua_folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    hash_fails(lua_folder, "is no ordinary file");
}
END_TEST

/* ---- Memory that runs out ---- */

START_TEST(each_allocation_fails)
{
    fg_status s = FG_MEMORY;
    size_t n = 1;
    lua_folder_clear();
    lua_file("templates/x/one.lua", "1");
    for (; s == FG_MEMORY; n++) {
        counter c = { .fail_at = n };
        const memory m = { counter_allocate, &c };
        char out[65];
        s = maker_installed->hash(out, &m, lua_folder, NULL);
        ck_assert_uint_eq(c.live, 0);
    }
    ck_assert_int_eq(s, FG_OK);
    ck_assert_uint_gt(n, 2);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_built_in_one,
        a_directory_that_changes_nothing,
        one_file_counts,
        the_same_files_the_same_hash,
        directories_that_cannot_be_read,
        each_allocation_fails,
        NULL,
    };
    if (!lua_folder_make()) return 1;
    int result = support_run("files_hash", tests);
    lua_folder_remove();
    return result;
}
