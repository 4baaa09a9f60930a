/* Kernels of the fake driver that are C: text with a function
 *
 *     int fake_block(const void *args, unsigned block)
 *
 * which does what a block of the kernel does, and returns 0 or the driver's code of a fault. */
#ifndef TESTS_FAKE_KERNELS_H
#define TESTS_FAKE_KERNELS_H

#include <stdbool.h>

typedef struct fake_kernels {
    void *library; /* NULL: the text has no such function */
    int (*block)(const void *args, unsigned block);
} fake_kernels;

/* False where the compiler does not take it. */
bool fake_kernels_load(fake_kernels *out, const char *text);
void fake_kernels_unload(fake_kernels *k);

#endif
