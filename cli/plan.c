#include "plan.h"

#include "interrupt.h"
#include "show.h"

#include <string.h>

static const struct {
    const char *name;
    fg_rigor rigor;
    bool searches;
} rigors[] = {
    { "estimate", FG_ESTIMATE, false },
    { "measure", FG_MEASURE, true },
    { "exhaustive", FG_EXHAUSTIVE, true },
    { "stored", FG_STORED, false },
};

/* Index in rigors, or -1. */
static int rigor_find(const plan_choices *choices)
{
    const char *name = choices->rigor ? choices->rigor : "estimate";
    for (int k = 0; k < (int)(sizeof rigors / sizeof *rigors); k++)
        if (strcmp(rigors[k].name, name) == 0) return k;
    return -1;
}

fg_status plan_check(const plan_choices *choices, fg_error *error)
{
    int k = rigor_find(choices);
    if (k < 0)
        return fault(error, FG_REQUEST,
                     "--rigor '%s' is not one of: estimate, measure, exhaustive, stored",
                     choices->rigor);
    if (choices->budget > 0 && rigors[k].rigor != FG_MEASURE)
        return fault(error, FG_REQUEST, "--budget goes with --rigor measure, not with %s",
                     rigors[k].name);
    return FG_OK;
}

fg_status plan_make(fg_plan **out, fg_context *context, const fg_problem *problem,
                    const plan_choices *choices, const fg_dims *sizes, const char *name,
                    fg_error *error)
{
    fg_plan_options how = FG_PLAN_OPTIONS_INIT;
    show s;
    fg_status status = plan_check(choices, error);
    if (status != FG_OK) return status;
    int k = rigor_find(choices);
    how.config = choices->config;
    how.rigor = rigors[k].rigor;
    if (choices->budget > 0) how.seconds = choices->budget;
    if (!rigors[k].searches) return fg_plan_new(out, context, problem, &how, error);
    how.sizes = sizes;
    interrupt_catch();
    how.event = show_watch;
    how.event_user = &s;
    show_start(&s, name, 1, 1);
    status = fg_plan_new(out, context, problem, &how, error);
    show_end(&s);
    interrupt_release();
    if (status == FG_OK && interrupt_caught()) { /* when nothing was left to cancel */
        fg_plan_free(*out);
        *out = NULL;
        status = FG_CANCELLED;
    }
    return status == FG_CANCELLED ? fault(error, status, "interrupted") : status;
}

const char *plan_source(fg_source source)
{
    static const char *const names[] = { [FG_FROM_MEMORY] = "memory",
                                         [FG_FROM_STORE] = "store",
                                         [FG_FROM_BUNDLE] = "bundle",
                                         [FG_COMPILED] = "compiled" };
    return names[source];
}
