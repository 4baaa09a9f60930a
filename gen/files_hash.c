#include "gen/files.h"

#include "gen/core/embedded.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

static void add_bytes(crypto_hash_sha256_state *state, const char *bytes, size_t size)
{
    unsigned char length[8];
    for (int k = 0; k < 8; k++) length[k] = (unsigned char)((uint64_t)size >> 8 * k);
    crypto_hash_sha256_update(state, length, sizeof length);
    crypto_hash_sha256_update(state, (const unsigned char *)bytes, size);
}

static void finish(char out[65], crypto_hash_sha256_state *state)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(state, hash);
    sodium_bin2hex(out, 65, hash, sizeof hash);
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static fg_status add_files(crypto_hash_sha256_state *state, files *f, const files_name *name,
                           const char *end, fg_error *error)
{
    fg_status s = FG_OK;
    for (; name && s == FG_OK; name = name->next) {
        const char *bytes;
        size_t size;
        if (!ends_in(name->name, end)) continue;
        s = files_read(f, name->name, &bytes, &size, error);
        if (s != FG_OK || !bytes) continue; /* gone since it was listed */
        add_bytes(state, name->name, strlen(name->name));
        add_bytes(state, bytes, size);
    }
    return s;
}

/* As embedded_hash, over the files that count with this directory. */
static fg_status hash_files(char out[65], files *f, fg_error *error)
{
    crypto_hash_sha256_state state;
    const files_name *lua, *templates;
    fg_status s;
    crypto_hash_sha256_init(&state);
    if ((s = files_list(f, "gen/", &lua, error)) != FG_OK) return s;
    if ((s = files_tree(f, "templates/", &templates, error)) != FG_OK) return s;
    if ((s = add_files(&state, f, lua, ".lua", error)) != FG_OK) return s;
    s = add_files(&state, f, templates, "", error); /* "templates/" is behind "gen/" */
    finish(out, &state);
    return s;
}

fg_status files_hash(char out[65], const memory *m, const char *directory, fg_error *error)
{
    crypto_hash_sha256_state state;
    char texts[65];
    files f;
    fg_status s = files_open(&f, m, directory, error);
    if (s == FG_OK && directory)
        s = hash_files(texts, &f, error);
    else
        memcpy(texts, embedded_hash, sizeof texts);
    files_close(&f);
    if (s != FG_OK) return s;
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)texts, 64);
    crypto_hash_sha256_update(&state, (const unsigned char *)embedded_gen_hash, 64);
    finish(out, &state);
    return FG_OK;
}
