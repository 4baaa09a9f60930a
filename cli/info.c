/* flashgen info: what the library runs on. */
#include "commands.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <string.h>

typedef struct info_choices {
    bool json;
    context_choices context;
} info_choices;

static const option options[] = {
    { "json", OPTION_flag, NULL, offsetof(info_choices, json), "print one JSON object" },
    CONTEXT_OPTIONS(info_choices, context, "auto"),
    { 0 },
};

static const char build[] = "built by "
#if defined(__clang__)
                            "clang "
#else
                            "gcc "
#endif
    __VERSION__
#if defined(__SANITIZE_ADDRESS__)
                            ", with AddressSanitizer"
#endif
    ;

/* A row of the output: a text, or a number where the text is NULL and `number` is not negative. Without a title it is
 * for JSON alone. */
typedef struct row {
    const char *key, *title, *text;
    int64_t number;
} row;

static void print_rows(const row *rows, int count)
{
    for (int k = 0; k < count; k++) {
        if (!rows[k].title) continue;
        if (rows[k].text)
            printf("%-16s  %s\n", rows[k].title, rows[k].text);
        else if (rows[k].number >= 0)
            printf("%-16s  %lld\n", rows[k].title, (long long)rows[k].number);
        else
            printf("%-16s  none\n", rows[k].title);
    }
}

static fg_status print_json(const row *rows, int count, fg_error *error)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object != NULL;
    for (int k = 0; k < count && ok; k++) {
        if (rows[k].text)
            ok = cJSON_AddStringToObject(object, rows[k].key, rows[k].text);
        else if (rows[k].number >= 0)
            ok = cJSON_AddNumberToObject(object, rows[k].key, (double)rows[k].number);
        else
            ok = cJSON_AddNullToObject(object, rows[k].key);
    }
    char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
    return text ? FG_OK : fault_memory(error);
}

static bool add_gpu(char *out, size_t size, context_choices *choices, int index)
{
    fg_context *context = NULL;
    fg_device_info d;
    fg_error error;
    char place[32];
    size_t length = strlen(out);
    snprintf(place, sizeof place, "cuda:%d", index);
    choices->target = place;
    fg_status s = context_open(&context, choices, "c", &error);
    if (s == FG_OK) s = fg_context_device(context, &d, &error);
    if (s == FG_OK)
        snprintf(out + length, size - length, "%s%s %s (%s)", index ? "; " : "", d.device, d.name,
                 d.isa);
    else if (index == 0)
        snprintf(out, size, "%s", error.text);
    fg_context_free(context);
    return s == FG_OK;
}

/* Those that CUDA shows, or why there are none. */
static void find_gpus(char *out, size_t size, const context_choices *choices)
{
    context_choices each = *choices;
    each.isa = each.compiler = each.compiler_flags = NULL;
    for (int k = 0; add_gpu(out, size, &each, k);) k++;
}

static fg_status info(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    const info_choices *c = choices;
    fg_context *context = NULL;
    fg_device_info d;
    char gpus[2048] = "";
    (void)line;
    if (argc > 0) return fault(error, FG_REQUEST, "'%s' is one word too many", argv[0]);
    fg_status s = context_open(&context, &c->context, "auto", error);
    if (s == FG_OK) s = fg_context_device(context, &d, error);
    if (s == FG_OK) {
        const bool gpu = strcmp(d.target, "cuda") == 0;
        if (!gpu) find_gpus(gpus, sizeof gpus, &c->context);
        const row rows[] = {
            { "version", "flashgen", fg_version(), -1 },
            { "build", "build", build, -1 },
            { "device", "device", d.name, -1 },
            { "place", "place", d.device, -1 },
            { "target", "target", d.target, -1 },
            { "isa", "ISA", d.isa, -1 },
            { "flags", "flags", d.flags, -1 },
            { "cores", gpu ? "multiprocessors" : "cores", NULL, d.cores },
            { "threads", gpu ? NULL : "threads", NULL, d.threads },
            { "l1_bytes", gpu ? "shared bytes" : "L1 bytes a core", NULL, d.l1_bytes },
            { "l2_bytes", gpu ? "L2 bytes" : "L2 bytes a core", NULL, d.l2_bytes },
            { "compiler", "compiler", d.compiler, -1 },
            { "compiler_version", "its version", d.compiler_version, -1 },
            { "gpus", gpu ? NULL : "GPUs", gpus, -1 },
        };
        const int count = sizeof rows / sizeof *rows;
        if (c->json)
            s = print_json(rows, count, error);
        else
            print_rows(rows, count);
    }
    fg_context_free(context);
    return s;
}

const command command_info = {
    .name = "info",
    .arguments = "",
    .summary = "Prints devices, instruction set, compiler, versions and build",
    .options = options,
    .run = info,
    .choices_size = sizeof(info_choices),
};
