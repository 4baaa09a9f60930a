/* A kernel before it is loaded: a compiler's binary, and what launching it takes. This is what the store
 * keeps, and what travels to a process that measures. */
#ifndef RUNTIME_IMAGE_H
#define RUNTIME_IMAGE_H

#include "runtime/backend.h"
#include "runtime/store.h"

/* The version of what a kernel and its launch data expect of the runtime. */
enum { image_abi = 4 };

typedef struct image {
    const fg_context *context;                /* NULL: nothing is in here */
    made *made;                               /* without its text where it was read */
    binary compiled;                          /* no data before image_compile */
    double generate_seconds, compile_seconds; /* 0: read */
} image;

/* Has the maker write the text. `sizes`: as context_make. */
fg_status image_generate(image *out, const fg_context *context, const problem *p,
                         const char *config, const maker_sizes *sizes, fg_error *error);
fg_status image_compile(image *i, fg_error *error);
/* Both. */
fg_status image_make(image *out, const fg_context *context, const problem *p, const char *config,
                     const maker_sizes *sizes, fg_error *error);
/* The kernel that measures the peak, and the operations of a round. */
fg_status image_make_peak(image *out, const fg_context *context, int64_t *flops, fg_error *error);
void image_free(image *i);

/* As bytes: `bytes` is a text to be freed; sections[0] and [1] point into it and into the image. */
enum { image_sections = 2 };
fg_status image_write(text *bytes, store_section sections[image_sections], const image *i,
                      fg_error *error);
/* Copies. Distrusts: FG_REQUEST for what is no image. */
fg_status image_read(image *out, const fg_context *context, const store_section *sections,
                     int count, fg_error *error);

#endif
