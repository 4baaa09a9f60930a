#include "autotune/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *sample, int count)
{
    qsort(sample, (size_t)count, sizeof *sample, compare);
    return count % 2 ? sample[count / 2] : (sample[count / 2 - 1] + sample[count / 2]) / 2;
}

/* Of normal noise: the median errs by sqrt(pi / 2) standard deviations / sqrt(n), and a standard deviation
 * is 1.4826 median deviations. Few samples do not show how noisy they are. */
estimate race_estimate(double *sample, int count)
{
    if (count == 0) return (estimate){ HUGE_VAL, HUGE_VAL };
    double middle = median(sample, count);
    if (count < 3) return (estimate){ middle, count < 2 ? HUGE_VAL : sample[1] - sample[0] };
    for (int k = 0; k < count; k++) sample[k] = fabs(sample[k] - middle);
    return (estimate){ middle, 1.2533 * 1.4826 * median(sample, count) / sqrt(count - 1) };
}

estimate race_seconds(const racer *r)
{
    double sample[race_max_runs];
    memcpy(sample, r->sample, (size_t)r->runs * sizeof *sample);
    return race_estimate(sample, r->runs);
}

estimate race_ratio(const racer *b, const racer *a)
{
    double ratio[race_max_runs];
    int runs = a->runs < b->runs ? a->runs : b->runs;
    for (int k = 0; k < runs; k++) ratio[k] = b->sample[k] / a->sample[k];
    return race_estimate(ratio, runs);
}

int race_leader(const race *r)
{
    int leader = -1;
    double least = HUGE_VAL;
    for (int k = 0; k < r->count; k++) {
        if (r->racer[k].out) continue;
        double seconds = race_seconds(&r->racer[k]).median;
        if (leader >= 0 && seconds >= least) continue;
        leader = k;
        least = seconds;
    }
    return leader;
}
