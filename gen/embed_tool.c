/* embed_tool OUTPUT ROOT NAME... -- SOURCE...: run by the build, no part of the library. Writes C
 * that defines gen/core/embedded.h: the files NAME below ROOT, and the hashes over NAME and SOURCE. */
#include "gen/core/embedded.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die(const char *what, const char *path)
{
    fprintf(stderr, "embed_tool: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void *need(void *block)
{
    if (!block) die("allocate", "memory");
    return block;
}

static char *read_all(const char *root, const char *name, size_t *size)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", root, name) >= (int)sizeof path) die("name", name);
    FILE *in = fopen(path, "rb");
    if (!in || fseek(in, 0, SEEK_END)) die("open", path);
    long end = ftell(in);
    if (end < 0) die("measure", path);
    rewind(in);
    *size = (size_t)end;
    char *text = need(calloc(*size + 1, 1));
    if (fread(text, 1, *size, in) != *size) die("read", path);
    fclose(in);
    return text;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const embedded_file *)a)->name, ((const embedded_file *)b)->name);
}

static embedded_file *read_files(const char *root, char **names, size_t count)
{
    embedded_file *files = need(calloc(count + 1, sizeof *files));
    for (size_t k = 0; k < count; k++) {
        files[k].name = names[k];
        files[k].text = read_all(root, names[k], &files[k].size);
    }
    qsort(files, count, sizeof *files, by_name);
    return files;
}

static void free_files(embedded_file *files, size_t count)
{
    for (size_t k = 0; k < count; k++) free((char *)files[k].text);
    free(files);
}

static void hash_bytes(crypto_hash_sha256_state *state, const char *bytes, size_t size)
{
    unsigned char length[8];
    for (int k = 0; k < 8; k++) length[k] = (unsigned char)((uint64_t)size >> 8 * k);
    crypto_hash_sha256_update(state, length, sizeof length);
    crypto_hash_sha256_update(state, (const unsigned char *)bytes, size);
}

static void write_hash(FILE *out, const char *name, const embedded_file *files, size_t count)
{
    crypto_hash_sha256_state state;
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_init(&state);
    for (size_t k = 0; k < count; k++) {
        hash_bytes(&state, files[k].name, strlen(files[k].name));
        hash_bytes(&state, files[k].text, files[k].size);
    }
    crypto_hash_sha256_final(&state, hash);
    fprintf(out, "const char %s[65] = \"", name);
    for (size_t k = 0; k < sizeof hash; k++) fprintf(out, "%02x", (unsigned)hash[k]);
    fprintf(out, "\";\n");
}

/* Numbers, not a string literal: ISO C lets a compiler stop at 4095 bytes of those. */
static void write_text(FILE *out, size_t index, const embedded_file *file)
{
    fprintf(out, "/* %s */\nstatic const char text_%zu[] = {", file->name, index);
    for (size_t k = 0; k <= file->size; k++)
        fprintf(out, "%s%d,", k % 32 ? "" : "\n", file->text[k]);
    fprintf(out, "\n};\n");
}

static void write_files(FILE *out, const embedded_file *files, size_t count)
{
    for (size_t k = 0; k < count; k++) write_text(out, k, &files[k]);
    fprintf(out, "const embedded_file embedded_files[] = {\n");
    for (size_t k = 0; k < count; k++)
        fprintf(out, "    { \"%s\", text_%zu, %zu },\n", files[k].name, k, files[k].size);
    fprintf(out, "    { NULL, NULL, 0 },\n};\nconst size_t embedded_file_count = %zu;\n", count);
}

int main(int argc, char **argv)
{
    int middle = 3;
    while (middle < argc && strcmp(argv[middle], "--") != 0) middle++;
    if (middle >= argc) {
        fprintf(stderr, "usage: embed_tool OUTPUT ROOT NAME... -- SOURCE...\n");
        return 2;
    }
    size_t count = (size_t)(middle - 3), source_count = (size_t)(argc - middle - 1);
    embedded_file *files = read_files(argv[2], argv + 3, count);
    embedded_file *sources = read_files(argv[2], argv + middle + 1, source_count);
    FILE *out = fopen(argv[1], "wb");
    if (!out) die("create", argv[1]);
    fprintf(out, "#include \"gen/core/embedded.h\"\n\n");
    write_files(out, files, count);
    write_hash(out, "embedded_hash", files, count);
    write_hash(out, "embedded_gen_hash", sources, source_count);
    if (fclose(out)) die("write", argv[1]);
    free_files(files, count);
    free_files(sources, source_count);
    return 0;
}
