/* What the store's files share. No directory is held open between calls: the host may close every number,
 * chdir, or take the directory away and put another in its place. */
#ifndef RUNTIME_STORE_PARTS_H
#define RUNTIME_STORE_PARTS_H

#include "runtime/store_entry.h"

#include <stdatomic.h>

typedef struct store_folder {
    char *path;   /* absolute; NULL: there is none */
    size_t given; /* bytes of the path that are not made when missing: the home itself */
    bool shared;  /* only read */
    atomic_bool warned;
} store_folder;

struct store {
    const memory *memory;
    const store_calls *calls;
    void (*warn)(void *user, const char *sentence);
    void *user;
    store_folder own, *shared;
    size_t shared_count;
#define STORE_COUNT(name) atomic_llong name;
    struct {
        FG_STORE_COUNTS(STORE_COUNT)
    } counts;
#undef STORE_COUNT
};

extern const char *const store_kind_names[store_kind_count];

enum { store_name_size = 16 + digest_text_size };

/* As "kernel/0123...", in its directory. */
void store_name(char out[store_name_size], store_kind kind, const digest *d);

/* ---- Directories ---- */

/* The directory, checked, or -1: then *why says why it is not to be used, NULL if it is only missing.
 * `make`: it is made. */
int store_folder_open(store *s, store_folder *f, bool make, const char **why);
/* Says so, once for each directory. */
void store_folder_warn(store *s, store_folder *f, const char *why);

/* What every open goes through: without O_NOFOLLOW and O_CLOEXEC nothing is opened, and nothing as 0 to 2,
 * which a host that closed them may print to. errno says why it is -1. */
int store_open_at(const store *s, int folder, const char *path, int flags, mode_t mode);
void store_close_fd(const store *s, int fd);

/* A signal that comes again and again must not hold us for ever. */
enum { store_tries = 100 };
#define STORE_RETRY(result, call)                                                                  \
    for (int tries = 0; ((result) = (call)) < 0 && errno == EINTR && ++tries < store_tries;)

/* ---- Files ---- */

typedef enum store_found {
    STORE_missing,
    STORE_unread, /* it may be right, but cannot be read now */
    STORE_wrong,
    STORE_right,
} store_found;

/* What lies in an open directory for a digest, whole and verified. `use`: this counts as a use. `info`: of the
 * file, of size -1 where it is not known. *why: what is wrong with it, as a sentence's end. */
store_found store_file_read(store_entry *out, const store *s, int folder, store_kind kind,
                            const digest *d, bool use, struct stat *info, const char **why);

/* ---- Names ---- */

typedef struct store_names {
    const memory *memory;
    char (*name)[256];
    size_t count, capacity;
} store_names;

/* The names in a folder of the directory, sorted. A missing one has none. 0 or an errno. */
int store_names_read(store_names *out, const store *s, int folder, const char *name);
void store_names_free(store_names *names);

/* Opens the store's own directory for those who tell of errors. -1 with FG_OK: there is none. */
fg_status store_open_own(int *folder, store *s, fg_error *error);

/* ---- Half-written files ---- */

/* Unlinks whatever has the name. What cannot be, a folder with something in it, goes to new/. 0 or an
 * errno. */
int store_take_away(const store *s, int folder, const char *name);
/* In new/: a name that we gave. */
bool store_is_temporary(const char *name);

#endif
