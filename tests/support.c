#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int support_run(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);
    tcase_set_timeout(all, 0);
    for (; *tests; tests++) tcase_add_test(all, *tests);
    suite_add_tcase(suite, all);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

int support_sweep(void)
{
    const char *count = getenv("FLASHGEN_TEST_SWEEP");
    return count && atoi(count) > 0 ? atoi(count) : 300;
}

bool support_fails(size_t at, size_t calls)
{
    enum { ends = 50 };
    const char *count = getenv("FLASHGEN_TEST_ALLOCATIONS");
    const size_t most = count && atoi(count) > 0 ? (size_t)atoi(count) : 600;
    const size_t step = (calls + most - 1) / most;
    return at <= ends || at + ends > calls || at % step == 0;
}

void support_shard(int *index, int *count)
{
    const char *shard = getenv("FLASHGEN_TEST_SHARD");
    if (shard && sscanf(shard, "%d/%d", index, count) == 2 && *index >= 0 && *index < *count)
        return;
    *index = 0;
    *count = 1;
}

char *support_path(const char *name)
{
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/%s", FLASHGEN_SOURCE_DIR, name), 0);
    return path;
}

char *support_read(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    if (!in) return NULL;
    char *text = NULL;
    size_t length = 0, capacity = 0, got;
    do {
        capacity = capacity * 2 + 4096;
        char *more = realloc(text, capacity + 1);
        if (!more) break;
        text = more;
        got = fread(text + length, 1, capacity - length, in);
        length += got;
    } while (length == capacity);
    if (ferror(in) || length == capacity) {
        free(text);
        text = NULL;
    }
    fclose(in);
    if (text) text[length] = 0;
    if (text && size) *size = length;
    return text;
}
