/* What the library carries is what the tree holds, under the hash that gen/core/embedded.h defines. */
#include "tests/support.h"

#include "gen/core/embedded.h"

#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(texts_are_the_trees)
{
    for (size_t k = 0; k < embedded_file_count; k++) {
        const embedded_file *file = &embedded_files[k];
        size_t size = 0;
        char *path = support_path(file->name), *text = support_read(path, &size);
        ck_assert_msg(text && size == file->size && memcmp(text, file->text, size + 1) == 0,
                      "%s differs", file->name);
        free(path);
        free(text);
    }
}
END_TEST

START_TEST(names_are_sorted)
{
    for (size_t k = 1; k < embedded_file_count; k++)
        ck_assert_str_lt(embedded_files[k - 1].name, embedded_files[k].name);
}
END_TEST

static void add(crypto_hash_sha256_state *state, const char *bytes, size_t size)
{
    unsigned char length[8];
    for (int k = 0; k < 8; k++) length[k] = (unsigned char)((uint64_t)size >> 8 * k);
    crypto_hash_sha256_update(state, length, sizeof length);
    crypto_hash_sha256_update(state, (const unsigned char *)bytes, size);
}

START_TEST(hash_is_as_documented)
{
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    crypto_hash_sha256_init(&state);
    for (size_t k = 0; k < embedded_file_count; k++) {
        add(&state, embedded_files[k].name, strlen(embedded_files[k].name));
        add(&state, embedded_files[k].text, embedded_files[k].size);
    }
    crypto_hash_sha256_final(&state, hash);
    ck_assert_str_eq(sodium_bin2hex(hex, sizeof hex, hash, sizeof hash), embedded_hash);
    ck_assert_str_ne(embedded_hash, embedded_gen_hash);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { texts_are_the_trees, names_are_sorted, hash_is_as_documented, NULL };
    return support_run("embedded", tests);
}
