/* The tensors of one run: from files or drawn, and the fg_args that hold them. */
#ifndef CLI_TENSORS_H
#define CLI_TENSORS_H

#include "inputs.h"
#include "line.h"
#include "npy.h"

enum { tensors_max = 32 };

/* A .npy file that the user gave for a tensor. */
typedef struct tensor_file {
    const char *option; /* as the user wrote it, for sentences: "--q" */
    char name[32];      /* of the tensor */
    const char *path;
    char *bytes;
    npy_header header;
    bool used;
} tensor_file;

typedef struct tensor_files {
    int count;
    tensor_file item[tensors_max];
} tensor_files;

/* Reads the file; files.count goes up by one also when that fails. */
fg_status tensor_files_add(tensor_files *files, const char *given_by, const char *name,
                           const char *path, fg_error *error);
void tensor_files_free(tensor_files *files);
int tensor_files_find(const tensor_files *files, const char *name); /* index, or -1 */

/* Lengths by line_dim; -1: unknown. */
typedef struct lengths {
    int64_t of[line_dim_count];
} lengths;

/* Adds to *line (a text for free()) what it leaves out and the files know. A contradiction between files, options
 * and the line is an error, and so is an option where the line does not leave the size open. */
fg_status lengths_complete(lengths *out, char **line, const tensor_files *files,
                           const input_choices *inputs, fg_error *error);
/* Nobody says this line_dim (-1: one without a name). */
fg_status lengths_missing(int dim, fg_error *error);

typedef struct tensor {
    char name[32];
    const element_type *type;
    DLTensor dl;
    int64_t shape[4], strides[4], count;
    int64_t row, pitch; /* elements of the last dimension, and from one such row to the next */
    bool output, drawn;
} tensor;

typedef struct tensors {
    int count;
    tensor item[tensors_max];
    const DLTensor *extra[tensors_max]; /* of fg_args.tensors */
    fg_args args;
    lengths sizes; /* of this run */
    lengths whole; /* of that which it is a shard of, where options say them */
    int64_t bytes; /* of all */
} tensors;

/* What they are made from. */
typedef struct tensors_from {
    const fg_problem *problem;
    const char *line; /* the problem's */
    const lengths *known;
    tensor_files *files;
    const input_choices *inputs;
    uint64_t draw, draw_lengths; /* seeds: of lengths and tables apart from the others */
} tensors_from;

/* Allocates every tensor of the problem, aligned to 64 bytes, compact unless the problem promises an
 * alignment that compact rows do not have; inputs come from their files, or are drawn. Dropout gets its seed and
 * offset. `out` does not move afterwards: args points into it. */
fg_status tensors_make(tensors *out, const tensors_from *from, fg_error *error);
void tensors_free(tensors *t);

tensor *tensors_find(tensors *t, const char *name);
/* Of its memory. */
size_t tensor_bytes(const tensor *t);
/* Element `index`, counted in C order. */
double tensor_at(const tensor *t, int64_t index);
void tensor_set(tensor *t, int64_t index, double value);

#endif
