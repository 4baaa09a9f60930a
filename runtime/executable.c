#include "runtime/executable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool executable(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* `name` in the absolute folders of PATH: an empty or relative one would mean whatever lies where we are. */
static bool on_path(char out[PATH_MAX], const char *name)
{
    const char *path = secure_getenv("PATH");
    if (!path) path = "/usr/local/bin:/usr/bin:/bin";
    while (*path) {
        size_t length = strcspn(path, ":");
        int wrote = snprintf(out, PATH_MAX, "%.*s/%s", (int)length, path, name);
        if (*path == '/' && wrote < PATH_MAX && executable(out)) return true;
        path += length;
        path += *path == ':';
    }
    return false;
}

/* A path as given, made absolute: the compiler runs in a folder of its own. */
static bool by_path(char out[PATH_MAX], const char *path)
{
    char here[PATH_MAX] = "";
    if (*path != '/' && !getcwd(here, sizeof here)) return false;
    const char *slash = *path == '/' ? "" : "/";
    int wrote = snprintf(out, PATH_MAX, "%s%s%s", *path == '/' ? "" : here, slash, path);
    return wrote < PATH_MAX && executable(out);
}

bool executable_find(char out[PATH_MAX], const char *wanted)
{
    return strchr(wanted, '/') ? by_path(out, wanted) : on_path(out, wanted);
}
