/* flashgen emit: the kernel's text. */
#include "commands.h"

#include "inputs.h"
#include "line.h"

#include <stdio.h>

typedef struct emit_choices {
    const char *config;
    bool lines, ptx;
    input_choices sizes; /* b, sq and sk of them */
    context_choices context;
} emit_choices;

static const option options[] = {
    { "config", OPTION_text, "'K=V ...'", offsetof(emit_choices, config),
      "pin these axes of the tuning space" },
    { "lines", OPTION_flag, NULL, offsetof(emit_choices, lines),
      "with #line directives that name the templates" },
    { "ptx", OPTION_flag, NULL, offsetof(emit_choices, ptx),
      "as PTX, which NVRTC makes of the text for a GPU" },
    SIZE_OPTIONS(emit_choices, sizes),
    CONTEXT_OPTIONS(emit_choices, context, "auto"),
    { 0 },
};

static fg_status emit(void *choices, int argc, char **argv, char **line, fg_error *error)
{
    const emit_choices *c = choices;
    const char *given;
    fg_context *context = NULL;
    fg_problem *problem = NULL;
    fg_emit_options how = FG_EMIT_OPTIONS_INIT;
    const fg_dims sizes = inputs_dims(&c->sizes);
    char *text = NULL;
    fg_status s;
    if ((s = command_problem(&given, argc, argv, error)) != FG_OK) goto out;
    if ((s = line_expand(line, given, error)) != FG_OK) goto out;
    if ((s = context_open(&context, &c->context, "auto", error)) != FG_OK) goto out;
    if ((s = fg_problem_parse(&problem, context, *line, error)) != FG_OK) goto out;
    how.config = c->config;
    how.lines = c->lines;
    how.sizes = &sizes;
    how.ptx = c->ptx;
    if ((s = fg_emit(&text, context, problem, &how, error)) != FG_OK) goto out;
    fputs(text, stdout);
out:
    fg_text_free(context, text);
    fg_problem_free(problem);
    fg_context_free(context);
    return s;
}

const command command_emit = {
    .name = "emit",
    .arguments = "'PROBLEM'",
    .summary = "Prints the kernel; its first line is the command that compiles it",
    .options = options,
    .run = emit,
    .choices_size = sizeof(emit_choices),
};
