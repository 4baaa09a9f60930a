/* The templates and the Lua that CMake put in the library (by gen/embed_tool.c), sorted by name.
 *
 * A hash here is SHA-256 in hex over the files in strcmp order of their names; of each: the length
 * of its name (8 bytes, little-endian), the name, the length of its text (likewise), the text. A
 * directory that overrides the templates is hashed the same way. */
#ifndef GEN_CORE_EMBEDDED_H
#define GEN_CORE_EMBEDDED_H

#include <stddef.h>

typedef struct embedded_file {
    const char *name; /* from the source root: "templates/forward/c.c.t", "gen/space.lua" */
    const char *text; /* a zero byte follows, which `size` does not count */
    size_t size;
} embedded_file;

extern const embedded_file embedded_files[];
extern const size_t embedded_file_count;

/* Over embedded_files. */
extern const char embedded_hash[65];

/* Over gen's C sources, which write the kernel's text too: with embedded_hash it says which
 * generator this is. */
extern const char embedded_gen_hash[65];

#endif
