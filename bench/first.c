/* Seconds from the start of a process to the first result of a problem.
 *
 * usage: bench_first START 'PROBLEM' [STORE], START being the time of day, in seconds, before the process
 * was made; STORE a directory for kernels (none). Prints: total, then generate, compile, load, the run itself,
 * filling the inputs; and where the kernel came from. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double time_of_day(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    static const char *const sources[] = { "memory", "store", "bundle", "compiled" };
    subject s;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: bench_first START 'PROBLEM' [STORE]\n");
        return 2;
    }
    fg_context *context = bench_context(argv[3]);
    subject_open(&s, context, argv[2], NULL, 0);
    double before = bench_seconds();
    subject_run(&s);
    double ran = bench_seconds() - before, total = time_of_day() - strtod(argv[1], NULL);
    printf("%.6f %.6f %.6f %.6f %.6f %.6f %s\n", total, s.info.generate_seconds,
           s.info.compile_seconds, s.info.load_seconds, ran, s.input_seconds,
           sources[s.info.source]);
    subject_close(&s);
    fg_context_free(context);
    return 0;
}
