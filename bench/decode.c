/* How near decoding comes to reading memory: runs of a problem, and plain reads of its K and V with as many
 * threads, in turn.
 *
 * usage: bench_decode ROUNDS MEGABYTES 'PROBLEM' [CONFIG]
 * K and V are of several sets, used in turn, of MEGABYTES in all: to measure memory, more than the last-level
 * cache holds. Prints a row of a table: GB/s of K and V in a run, of a read, and their quotient, each the best and
 * the median of the rounds. */
#include "bench.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { most_sets = 64, most_rounds = 1000 };

typedef struct sample {
    double run, read;
} sample;

static size_t bytes_of(const DLTensor *t)
{
    size_t bytes = t->dtype.bits / 8;
    for (int k = 0; k < t->ndim; k++) bytes *= (size_t)t->shape[k];
    return bytes;
}

/* The sum of all words, so that each is read, by the widest loads there are. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint64_t
read_part(const char *data, size_t bytes)
{
    typedef uint64_t lanes __attribute__((vector_size(64)));
    lanes sum[4] = { 0 };
    uint64_t all = 0;
    for (size_t k = 0; k + sizeof sum <= bytes; k += sizeof sum)
        for (size_t n = 0; n < 4; n++) {
            lanes x;
            memcpy(&x, data + k + n * sizeof x, sizeof x);
            sum[n] += x;
        }
    for (int n = 0; n < 4; n++)
        for (int l = 0; l < 8; l++) all += sum[n][l];
    return all;
}

static uint64_t read_tensor(const DLTensor *t, int threads)
{
    uint64_t all = 0;
    const size_t share = bytes_of(t) / (size_t)threads;
#pragma omp parallel for num_threads(threads) reduction(+ : all)
    for (int n = 0; n < threads; n++)
        all += read_part((const char *)t->data + (size_t)n * share, share);
    return all;
}

static double read_seconds(const subject *s, int threads)
{
    double start = bench_seconds();
    uint64_t sum = read_tensor(s->args.k, threads) + read_tensor(s->args.v, threads);
    return sum == 1 ? 0 : bench_seconds() - start; /* it is used, so it is computed */
}

static double run_seconds(const subject *s)
{
    double start = bench_seconds();
    subject_run(s);
    return bench_seconds() - start;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const sample *all, int rounds, double bytes, const subject *s, const char *line)
{
    static double run[most_rounds], read[most_rounds], ratio[most_rounds];
    for (int k = 0; k < rounds; k++) {
        run[k] = all[k].run;
        read[k] = all[k].read;
        ratio[k] = read[k] / run[k];
    }
    qsort(run, (size_t)rounds, sizeof *run, by_value);
    qsort(read, (size_t)rounds, sizeof *read, by_value);
    qsort(ratio, (size_t)rounds, sizeof *ratio, by_value);
    printf("%6.2f %6.2f | %6.2f %6.2f | %5.3f %5.3f | %8.3f ms | %s | %s %s\n", bytes / run[0],
           bytes / run[rounds / 2], bytes / read[0], bytes / read[rounds / 2], read[0] / run[0],
           ratio[rounds / 2], 1e3 * run[0], line, s->info.schedule, s->info.config);
}

int main(int argc, char **argv)
{
    static subject sets[most_sets];
    static sample samples[most_rounds];
    int rounds = argc > 3 ? atoi(argv[1]) : 0, count = 0;
    double wanted = argc > 3 ? 1e6 * strtod(argv[2], NULL) : 0, bytes = 0;
    fg_error error;
    fg_device_info device;
    if (rounds < 1 || rounds > most_rounds) {
        fprintf(stderr, "usage: bench_decode ROUNDS MEGABYTES 'PROBLEM' [CONFIG]\n");
        return 2;
    }
    fg_context *context = bench_context(NULL);
    bench_need(fg_context_device(context, &device, &error), &error);
    do {
        subject *s = &sets[count++];
        subject_open(s, context, argv[3], argc > 4 ? argv[4] : NULL, 0);
        bytes = (double)(bytes_of(s->args.k) + bytes_of(s->args.v));
    } while (count < most_sets && (count < 2 || count * bytes < wanted));
    for (int round = -2; round < rounds; round++) {
        const subject *one = &sets[(round + 2) % count],
                      *other = &sets[(round + 2 + count / 2) % count];
        const sample found = { .run = run_seconds(one),
                               .read = read_seconds(other, device.threads) };
        if (round >= 0) samples[round] = found;
    }
    print(samples, rounds, 1e-9 * bytes, &sets[0], argv[3]);
    for (int k = 0; k < count; k++) subject_close(&sets[k]);
    fg_context_free(context);
    return 0;
}
