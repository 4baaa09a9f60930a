/* What measured configs tell of the others: a Gaussian process over the axes of a space (Rasmussen and
 * Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1). */
#ifndef AUTOTUNE_MODEL_H
#define AUTOTUNE_MODEL_H

#include "autotune/axes.h"

enum { model_max = 192 }; /* configs that it learns from */

typedef struct model model;

/* `cost`: the prior's, of each point. Both outlive the model. */
model *model_new(const memory *m, const axes *a, const double *cost);
void model_free(model *m);

/* Learns from `count` <= model_max points and their seconds, in place of all that it knew. */
void model_learn(model *m, const int *points, const double *seconds, int count);

/* The most promising `count` of those points that are not `taken`, each chosen as if those before it were
 * known already; how many there are. Marks them as taken. */
int model_pick(model *m, int *out, int count, bool *taken);

#endif
