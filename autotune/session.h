/* Candidates checked and timed in this process: the tensors, the reference, the loaded kernels. */
#ifndef AUTOTUNE_SESSION_H
#define AUTOTUNE_SESSION_H

#include "runtime/image.h"

typedef struct session session;

/* Draws inputs between guard zones, and computes the reference of a sample of rows. The problem outlives
 * the session. `dims`: of `*` and of totals, as testbed_new has them. FG_UNSUPPORTED for a problem that the reference
 * does not take. */
fg_status session_new(session **out, fg_context *context, const problem *p, const fg_dims *dims,
                      fg_error *error);
void session_free(session *s);

/* As measurer_try and measurer_time do, except that nothing survives a crash: `begin` is told of each
 * candidate before it runs, and ends it all with FG_CANCELLED by false; NULL is fine. */
typedef bool (*session_begin_fn)(void *user, int id);
fg_status session_try(session *s, double *seconds, int id, const image *candidate, fg_error *error);
fg_status session_time(session *s, double *samples, const int *ids, int count, int runs,
                       session_begin_fn begin, void *user, fg_error *error);
void session_drop(session *s, int id);

/* A candidate took the GPU's context along: nothing runs in this process any more. */
bool session_broken(const session *s);

#endif
