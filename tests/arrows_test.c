/* Which room may include which: reads every #include of the source tree. */
#include "tests/support.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a file below `room` may include: of our headers those that start with one of `ours`, of the
 * `watched` foreign ones those that start with one of `others`. The longest matching room counts. */
typedef struct arrow {
    const char *room;
    const char *ours[6];
    const char *others[4];
} arrow;

static const arrow arrows[] = {
    { "include/", { NULL }, { NULL } },
    { "gen/core/", { "flashgen.h", "gen/core/" }, { "sodium" } },
    { "gen/", { "flashgen.h", "gen/" }, { "lua", "lauxlib", "sodium" } },
    { "runtime/", { "flashgen.h", "gen/core/", "runtime/" }, { "omp.h", "sodium" } },
    { "autotune/", { "flashgen.h", "gen/core/", "runtime/", "autotune/" }, { "omp.h", "sodium" } },
    { "cli/", { "flashgen.h", "cli/" }, { "cJSON" } },
};

/* Foreign headers that not every room may see. Anything else in <> is the system's. */
static const char *const watched[] = { "lua", "lauxlib", "sodium", "cJSON", "omp.h" };

enum { ARROWS = sizeof arrows / sizeof *arrows, WATCHED = sizeof watched / sizeof *watched };

static bool starts(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* By its last part too, for <cjson/cJSON.h>. */
static bool names(const char *header, const char *start)
{
    const char *slash = strrchr(header, '/');
    return starts(header, start) || (slash && starts(slash + 1, start));
}

static const arrow *arrow_of(const char *file)
{
    const arrow *best = NULL;
    for (size_t k = 0; k < ARROWS; k++)
        if (starts(file, arrows[k].room) && (!best || strlen(arrows[k].room) > strlen(best->room)))
            best = &arrows[k];
    return best;
}

static bool foreign_allowed(const arrow *from, const char *header)
{
    for (size_t k = 0; k < 4 && from->others[k]; k++)
        if (names(header, from->others[k])) return true;
    for (size_t k = 0; k < WATCHED; k++)
        if (names(header, watched[k])) return false;
    return true;
}

/* A header in quotes without a folder sits beside its includer, which must then be a room of its own
 * level: "options.h" in cli/ is "cli/options.h". The public header is found by its name alone. */
static void full_name(char *out, size_t size, const char *file, const char *header)
{
    const char *slash = strrchr(file, '/');
    if (strchr(header, '/') || strcmp(header, "flashgen.h") == 0 || !slash)
        snprintf(out, size, "%s", header);
    else
        snprintf(out, size, "%.*s%s", (int)(slash + 1 - file), file, header);
}

static bool ours_allowed(const arrow *from, const char *file, const char *header)
{
    char name[512];
    full_name(name, sizeof name, file, header);
    if (strstr(name, "..")) return false;
    for (size_t k = 0; k < 6 && from->ours[k]; k++)
        if (starts(name, from->ours[k])) return true;
    return false;
}

/* Finds the header of an #include line; its opening character, '"' or '<', or 0 for another line. */
static char include_of(const char *line, char *header, size_t size)
{
    char open = 0, name[256] = "";
    if (sscanf(line, " # include %c%255[^\">\n]", &open, name) != 2) return 0;
    snprintf(header, size, "%s", name);
    return open == '"' || open == '<' ? open : 0;
}

static bool include_allowed(const char *file, const char *line)
{
    char header[256];
    char open = include_of(line, header, sizeof header);
    if (!open) return true;
    const arrow *from = arrow_of(file);
    if (!from) return false;
    if (open == '<' && strcmp(header, "flashgen.h") != 0) return foreign_allowed(from, header);
    return ours_allowed(from, file, header);
}

/* How many lines of `file` break a rule; each is printed. */
static int check_file(const char *file)
{
    char *path = support_path(file), *text = support_read(path, NULL), *rest = text;
    ck_assert_msg(text != NULL, "cannot read %s", path);
    free(path);
    int wrong = 0;
    for (int number = 1; rest; number++) {
        char *line = strsep(&rest, "\n");
        if (include_allowed(file, line)) continue;
        printf("%s:%d: an arrow that runs back: %s\n", file, number, line);
        wrong++;
    }
    free(text);
    return wrong;
}

static bool is_source(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 2 && name[length - 2] == '.' &&
           strchr("ch", name[length - 1]) != NULL;
}

static int check_folder(const char *folder, int *files)
{
    char *path = support_path(folder);
    DIR *dir = opendir(path);
    free(path);
    if (!dir) return 0; /* a room not built yet */
    int wrong = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') wrong += check_folder(name, files);
        /* the build's own tool is in no room of the library */
        if (!is_source(entry->d_name) || strcmp(name, "gen/embed_tool.c") == 0) continue;
        wrong += check_file(name);
        ++*files;
    }
    closedir(dir);
    return wrong;
}

START_TEST(tree_has_no_arrow_back)
{
    static const char *const rooms[] = { "include", "gen", "runtime", "autotune", "cli" };
    int files = 0, wrong = 0;
    for (size_t k = 0; k < sizeof rooms / sizeof *rooms; k++)
        wrong += check_folder(rooms[k], &files);
    ck_assert_int_gt(files, 0);
    ck_assert_msg(wrong == 0, "%d includes run back", wrong);
}
END_TEST

static const struct {
    bool allowed;
    const char *file, *line;
} samples[] = {
    { true, "gen/core/expr.c", "#include \"gen/core/expr.h\"" },
    { true, "gen/core/expr.c", "#include <stdio.h>" },
    { true, "gen/template.c", "#include <lua.h>" },
    { true, "gen/template.c", "#include <lauxlib.h>" },
    { true, "gen/template.c", "#  include \"gen/core/expr.h\"" },
    { true, "runtime/plan.c", "#include \"gen/core/recipe.h\"" },
    { true, "runtime/plan.c", "#include \"flashgen.h\"" },
    { true, "autotune/search.c", "#include \"runtime/plan.h\"" },
    { true, "cli/main.c", "#include <flashgen.h>" },
    { true, "cli/main.c", "#include \"npy.h\"" },
    { true, "cli/main.c", "#include <cjson/cJSON.h>" },
    { true, "cli/main.c", "int x; /* #include \"gen/core/expr.h\" */" },
    { false, "include/flashgen.h", "#include \"gen/core/expr.h\"" },
    { false, "gen/core/expr.c", "#include \"gen/template.h\"" },
    { false, "gen/core/expr.c", "#include <lua.h>" },
    { false, "gen/core/expr.c", "#include <lauxlib.h>" },
    { false, "gen/core/expr.c", "#include \"../template.h\"" },
    { false, "gen/template.c", "#include \"runtime/plan.h\"" },
    { false, "runtime/plan.c", "#include \"gen/template.h\"" },
    { false, "runtime/plan.c", "#include <lualib.h>" },
    { false, "runtime/plan.c", "# include \"autotune/search.h\"" },
    { false, "runtime/plan.c", "#include <cjson/cJSON.h>" },
    { false, "autotune/search.c", "#include \"cli/main.h\"" },
    { false, "cli/main.c", "#include \"gen/core/problem.h\"" },
    { false, "cli/main.c", "#include \"runtime/plan.h\"" },
    { false, "cli/main.c", "#include <sodium.h>" },
};

START_TEST(rules_tell_forth_from_back)
{
    for (size_t k = 0; k < sizeof samples / sizeof *samples; k++)
        ck_assert_msg(include_allowed(samples[k].file, samples[k].line) == samples[k].allowed,
                      "%s in %s", samples[k].line, samples[k].file);
}
END_TEST

int main(void)
{
    const TTest *tests[] = { tree_has_no_arrow_back, rules_tell_forth_from_back, NULL };
    return support_run("arrows", tests);
}
