/* What is in a file, as a number: by blocks, whoever reads them. */
/* ctest: labels=threads */
#include "runtime/content.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { block = 1 << 22 };

/* A file in memory of these many bytes, none of them like its neighbours. */
static int file_of(unsigned char **content, size_t size)
{
    int fd = memfd_create("content", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    *content = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : NULL;
    ck_assert_ptr_ne(*content, MAP_FAILED);
    for (size_t n = 0; n < size; n++) (*content)[n] = (unsigned char)(n * 2654435761u >> 13);
    return fd;
}

static void drop(int fd, unsigned char *content, size_t size)
{
    if (content) munmap(content, size);
    close(fd);
}

static digest hash_by(int fd, size_t size, int threads)
{
    digest out;
    unsigned char *buffer = malloc((size_t)threads * content_piece);
    ck_assert(content_hash(&out, fd, (int64_t)size, buffer, threads));
    free(buffer);
    return out;
}

/* Each block's, then that of all of them. */
static digest expected(const unsigned char *content, size_t size, size_t of_block)
{
    digest blocks[64], out;
    size_t count = 0;
    for (size_t at = 0; at < size; at += of_block, count++)
        crypto_generichash(blocks[count].byte, 32, content + at,
                           size - at < of_block ? size - at : of_block, NULL, 0);
    crypto_generichash(out.byte, 32, (const unsigned char *)blocks, 32 * count, NULL, 0);
    return out;
}

static void check_size(size_t size, size_t of_block)
{
    unsigned char *content;
    int fd = file_of(&content, size);
    const digest right = expected(content, size, of_block);
    const int threads[] = { 1, 3, content_threads };
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        const digest found = hash_by(fd, size, threads[k]);
        ck_assert_msg(digest_equal(&found, &right), "%zu bytes, %d threads", size, threads[k]);
    }
    drop(fd, content, size);
}

START_TEST(any_size_and_any_threads)
{
    const size_t sizes[] = { 0, 1, content_piece + 1, block - 1, block, block + 1, 5 * block + 7 };
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) check_size(sizes[k], block);
}
END_TEST

/* Then a block is a 64th. */
START_TEST(a_large_file)
{
    check_size((size_t)64 * block + 65, block + 2);
}
END_TEST

START_TEST(each_byte_counts)
{
    enum { size = 2 * block + 100 };
    unsigned char *content;
    int fd = file_of(&content, size);
    const size_t places[] = { 0, block - 1, block, 2 * block, size - 1 };
    const digest before = hash_by(fd, size, 3);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        content[places[k]] ^= 1;
        const digest after = hash_by(fd, size, 3);
        ck_assert_msg(!digest_equal(&after, &before), "byte %zu", places[k]);
        content[places[k]] ^= 1;
    }
    drop(fd, content, size);
}
END_TEST

START_TEST(what_cannot_be_read)
{
    enum { size = 3 * block };
    digest out;
    unsigned char *content, *buffer = malloc(4 * content_piece);
    int fd = file_of(&content, size);
    ck_assert(!content_hash(&out, fd, size + 1, buffer, 4));
    ck_assert_int_eq(errno, EIO);
    drop(fd, content, size);
    ck_assert(!content_hash(&out, fd, size, buffer, 4));
    ck_assert_int_eq(errno, EBADF);
    free(buffer);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("content");
    TCase *c = tcase_create("content");
    const TTest *const tests[] = { any_size_and_any_threads, a_large_file, each_byte_counts,
                                   what_cannot_be_read };
    for (size_t k = 0; k < sizeof tests / sizeof *tests; k++) tcase_add_test(c, tests[k]);
    tcase_set_timeout(c, 300);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
