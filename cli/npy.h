/* NumPy's .npy files (numpy.lib.format, versions 1 to 3), every byte of which may be hostile. */
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include "element.h"
#include "fault.h"

enum { npy_max_rank = 8 };

typedef struct npy_header {
    const element_type *type;
    bool fortran;
    int rank;
    int64_t shape[npy_max_rank], count; /* count: of elements */
    size_t data;                        /* offset of the elements, all of which are there */
} npy_header;

/* `name` is what sentences call the file. */
fg_status npy_parse(npy_header *out, const void *bytes, size_t size, const char *name,
                    fg_error *error);

/* Element `index`, counted in C order (last dimension fastest), as a double. */
double npy_at(const npy_header *h, const void *bytes, int64_t index);

/* The header of a file of f4 or f8 elements in C order: at most npy_max_header bytes; returns how many. */
enum { npy_max_header = 320 };
size_t npy_write_header(char *out, bool f64, int rank, const int64_t *shape);

/* "[2, 3]" */
enum { npy_shape_text = 200 };
const char *npy_format_shape(char *out, int rank, const int64_t *shape);

#endif
