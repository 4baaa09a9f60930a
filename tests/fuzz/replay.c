/* Feeds the files of the folders named on the command line to a fuzz target, and the empty input, so
 * that a corpus is an ordinary test. A finding is a crash or a sanitizer's report. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A block of exactly the input's size, so that a read beyond it is seen. */
static int replay_file(const char *path)
{
    struct stat info;
    if (stat(path, &info) || !S_ISREG(info.st_mode)) return 0;
    FILE *in = fopen(path, "rb");
    if (!in) {
        perror(path);
        return -1;
    }
    size_t size = (size_t)info.st_size;
    uint8_t *data = malloc(size ? size : 1);
    int ok = data && fread(data, 1, size, in) == size;
    if (!ok) perror(path);
    if (ok) {
        printf("%s\n", path); /* before the call: after a crash it is the last line */
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    fclose(in);
    return ok ? 1 : -1;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return alphasort(a, b);
}

/* The number of inputs replayed, or -1 after an unreadable one. */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, by_name), replayed = 0;
    if (count < 0) {
        perror(folder);
        return -1;
    }
    for (int k = 0; k < count; k++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[k]->d_name);
        int n = length < (int)sizeof path ? replay_file(path) : -1;
        replayed = n < 0 || replayed < 0 ? -1 : replayed + n;
        free(entries[k]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char **argv)
{
    int total = 0;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int k = 1; k < argc; k++) {
        int n = replay_folder(argv[k]);
        if (n < 0) return 1;
        total += n;
    }
    printf("%d inputs replayed\n", total);
    return argc > 1 && total == 0; /* an empty corpus tests nothing */
}
