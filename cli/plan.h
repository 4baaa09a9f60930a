/* How a plan is made: the options of those subcommands that run one. */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "options.h"

typedef struct plan_choices {
    const char *config, *rigor;
    double budget; /* 0: not given */
} plan_choices;

/* clang-format off */
#define PLAN_OPTIONS(type, field)                                                                  \
    { "config", OPTION_text, "'K=V ...'", offsetof(type, field.config),                            \
      "pin these axes of the tuning space" },                                                      \
    { "rigor", OPTION_text, "RIGOR", offsetof(type, field.rigor),                                  \
      "how to choose the config where no winner is stored: estimate (time nothing; the default), " \
      "measure (search for the budget), exhaustive (time every config) or stored (fail)" },        \
    { "budget", OPTION_seconds, "S", offsetof(type, field.budget),                                 \
      "seconds that --rigor measure may search (20)" }
/* clang-format on */

fg_status plan_check(const plan_choices *choices, fg_error *error);
/* A search is of these sizes where the problem has `*`, is shown under `name`, and Ctrl-C cancels it. */
fg_status plan_make(fg_plan **out, fg_context *context, const fg_problem *problem,
                    const plan_choices *choices, const fg_dims *sizes, const char *name,
                    fg_error *error);

/* "memory", "store", "bundle" or "compiled". */
const char *plan_source(fg_source source);

#endif
