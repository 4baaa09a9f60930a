/* Candidates timed in turn, so that whatever slows the machine slows all of them. */
#ifndef AUTOTUNE_RACE_H
#define AUTOTUNE_RACE_H

#include <stdbool.h>

enum { race_max = 64, race_max_runs = 1024 };

/* Sample k of each was taken in the same turn. */
typedef struct racer {
    int id;
    bool out; /* no longer timed */
    int runs;
    double sample[race_max_runs]; /* seconds */
} racer;

typedef struct race {
    int count;
    racer racer[race_max];
} race;

/* A median, and its standard error, from the median deviation. Changes the order of the samples. */
typedef struct estimate {
    double median, error;
} estimate;

estimate race_estimate(double *sample, int count);
estimate race_seconds(const racer *r);
/* How many times `b` takes as long as `a`, turn by turn. */
estimate race_ratio(const racer *b, const racer *a);
/* Index of the racer of the least median among those not out, or -1. */
int race_leader(const race *r);

#endif
