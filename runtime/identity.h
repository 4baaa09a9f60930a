/* Which compiler this is, by what is in its files. */
#ifndef RUNTIME_IDENTITY_H
#define RUNTIME_IDENTITY_H

#include "runtime/context.h"
#include "runtime/key.h"

/* A hash of the names and contents of the driver and of what it runs to make a kernel (gcc: cc1, as, ld;
 * clang: itself, ld), each with the shared libraries that it loads; of a GPU's, NVRTC and its builtins. The context remembers it, and the store:
 * where path, device, inode, size, mtime and ctime of every file are as they were, no compiler's file is
 * opened and nothing is spawned. FG_COMPILER when there is none or the driver cannot be read; of another
 * file that cannot, the facts count. Finding out runs programs in a temporary folder: FG_MACHINE without one. */
fg_status identity_of_compiler(digest *out, fg_context *context, fg_error *error);
void identity_free(fg_context *context);

#endif
