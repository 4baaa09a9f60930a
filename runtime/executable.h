/* Where a program is. */
#ifndef RUNTIME_EXECUTABLE_H
#define RUNTIME_EXECUTABLE_H

#include <limits.h>
#include <stdbool.h>

/* The absolute path of `wanted`: a path, or a name in the absolute folders of PATH. */
bool executable_find(char out[PATH_MAX], const char *wanted);

#endif
