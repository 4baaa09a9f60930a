/* One element of a tensor, to and from double. */
#ifndef CLI_ELEMENT_H
#define CLI_ELEMENT_H

#include <flashgen.h>

#include <stdbool.h>

typedef struct element_type {
    const char *name;
    uint8_t code, bits;   /* as in DLDataType */
    double unit_roundoff; /* 0 for integers */
    double (*load)(const void *element);
    /* Rounds to nearest, ties to even; integers saturate, and NaN gives 0. */
    void (*store)(void *element, double value);
} element_type;

/* NULL: a type that the command does not handle. */
const element_type *element_find(DLDataType type);

#endif
