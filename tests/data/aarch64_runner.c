/* Runs the tasks of one launch of a kernel that this is linked with, in memory that a file brings: runner FILE.
 * The file is 8-byte numbers: how many regions and arguments, tasks, bytes of scratch; of each region its address
 * where the file comes from and its bytes; the arguments, addresses among them; then the regions, which are
 * written back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef __aarch64__
#error "this is to run kernels on aarch64"
#endif

typedef long long i64;

void ENTRY(const void *args, void *scratch, i64 first, i64 last);

typedef struct region {
    i64 address, bytes;
} region;

enum { most = 128 };

static region regions[most];
static char *memory[most];
static i64 arguments[most];

static void need(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "aarch64_runner: %s\n", what);
    exit(1);
}

/* Aligned as it was, up to a cache line. */
static char *place(region r)
{
    char *block = aligned_alloc(64, (size_t)(r.bytes + 127) / 64 * 64);
    need(block != NULL, "out of memory");
    return block + r.address % 64;
}

/* Where what was at an address is here; what lies nowhere is no address. */
static i64 moved(i64 argument, int count)
{
    for (int r = 0; r < count; r++)
        if (argument >= regions[r].address && argument < regions[r].address + regions[r].bytes)
            return (i64)(memory[r] + (argument - regions[r].address));
    return argument;
}

int main(int argc, char **argv)
{
    i64 head[4];
    FILE *f = argc == 2 ? fopen(argv[1], "r+b") : NULL;
    need(f && fread(head, sizeof head, 1, f) == 1, "no such file");
    const int count = (int)head[0], slots = (int)head[1];
    need(count <= most && slots <= most, "too many regions or arguments");
    need(fread(regions, sizeof *regions, (size_t)count, f) == (size_t)count, "a cut file");
    need(fread(arguments, sizeof *arguments, (size_t)slots, f) == (size_t)slots, "a cut file");
    const long data = ftell(f);
    for (int r = 0; r < count; r++) {
        memory[r] = place(regions[r]);
        need(fread(memory[r], 1, (size_t)regions[r].bytes, f) == (size_t)regions[r].bytes,
             "a cut file");
    }
    for (int k = 0; k < slots; k++) arguments[k] = moved(arguments[k], count);
    char *scratch = place((region){ 0, head[3] });
    memset(scratch, 0xff, (size_t)head[3]);
    ENTRY(arguments, scratch, 0, head[2]);
    need(fseek(f, data, SEEK_SET) == 0, "cannot seek");
    for (int r = 0; r < count; r++)
        need(fwrite(memory[r], 1, (size_t)regions[r].bytes, f) == (size_t)regions[r].bytes,
             "cannot write");
    need(fclose(f) == 0, "cannot write");
    return 0;
}
