/* Candidates written by hand: plain attention, and ways to get it wrong. */
#ifndef TESTS_CANDIDATE_STUB_H
#define TESTS_CANDIDATE_STUB_H

#include "runtime/reference.h"
#include "tests/runtime_stub.h"

/* The output ends 32 bytes before a multiple of 64. Rows of the sample are at most 256 of each head. */
#define CANDIDATE_PROBLEM "dtype=f32 b=1 hq=2 hkv=1 sq=301 sk=20 d=8 dv=4 lse"
enum { candidate_sq = 301 };

/* X(name, statement): what is done beside computing row i of head h, at o and lse; first in row 0 of head 0.
 * `n` counts runs; SAMPLED and UNSAMPLED are rows. */
/* clang-format off */
#define CANDIDATE_FAULTS(X)                                                                       \
    X(none, (void)0)                                                                              \
    X(wrong_sampled, if (i == SAMPLED) o[1] += 0.01f)                                             \
    X(wrong_unsampled, if (i == UNSAMPLED && h == 1) o[3] += 0.00001f)                            \
    X(wrong_lse, if (i == UNSAMPLED && h == 1) *lse += 0.0001f)                                   \
    X(zero, if (i == UNSAMPLED) o[2] = 0)                                                         \
    X(nan, if (i == UNSAMPLED) o[2] = __builtin_nanf(""))                                         \
    X(unwritten, if (i == UNSAMPLED && h == 1) __builtin_memset(&o[3], 255, 4))                   \
    X(before, if (i == 0 && h == 0) o[-1] = 1)                                                    \
    X(behind, if (i == 300 && h == 1) o[4] = 1)                                                   \
    X(far_before, if (i == 0 && h == 0) o[-100000] = 1)                                           \
    X(far_behind, if (i == 300 && h == 1) o[4 + 8] = 1)                                           \
    X(lse_behind, if (i == 300 && h == 1) lse[1] = 1)                                             \
    X(workspace_before, if (i == 0) ((volatile char *)scratch)[-TO_END] = 1)                           \
    X(workspace_behind, if (i == 0) ((volatile char *)scratch)[TO_END] = 1)                       \
    X(input, if (i == 0) ((volatile float *)a->k)[3] = a->k[3])                                   \
    X(input_behind, if (i == 0) *o += a->q[301 * 2 * 8 + 100])                                    \
    X(crash, if (i == 7) *(volatile int *)8 = 1)                                                  \
    X(trap, if (i == 7) __builtin_trap())                                                         \
    X(hang, if (i == 7) for (;;) asm volatile(""))                                                \
    X(exit, if (i == 7) call(231, 7, 0))                                                          \
    X(exit_well, if (i == 7) call(231, 0, 0))                                                     \
    X(kill, if (i == 7) call(62, call(39, 0, 0), 9))                                              \
    X(close, if (i == 7) { call(3, 0, 0); call(3, 1, 0); call(3, 3, 0); })                        \
    X(print, if (i == 7) for (long fd = 0; fd < 9; fd++) call(1, fd, (long)"garbage, garbage, "))  \
    X(late_crash, if (i == 7 && n >= 12) *(volatile int *)8 = 1)                                  \
    X(late_hang, if (i == 7 && n >= 12) for (;;) asm volatile(""))                                \
    X(slow, if (i == 7) for (volatile int k = 0; k < 3000000;) k++)
/* clang-format on */

typedef enum candidate_fault {
#define CANDIDATE_ENUM(name, statement) FAULT_##name,
    CANDIDATE_FAULTS(CANDIDATE_ENUM)
#undef CANDIDATE_ENUM
        fault_count
} candidate_fault;

static const char *const candidate_faults[] = {
#define CANDIDATE_TEXT(name, statement) #statement,
    CANDIDATE_FAULTS(CANDIDATE_TEXT)
#undef CANDIDATE_TEXT
};

static const char *const candidate_text =
    "struct args { float *q, *k, *v, *o, *lse; double scale; };\n"
    "enum { SAMPLED = %lld, UNSAMPLED = %lld, TO_END = %d };\n"
    "static inline long call(long number, long x, long y)\n"
    "{\n"
    "    long result;\n"
    "    asm volatile(\"syscall\" : \"=a\"(result) : \"a\"(number), \"D\"(x), \"S\"(y), "
    "\"d\"(18L)\n"
    "                 : \"rcx\", \"r11\", \"memory\");\n"
    "    return result;\n"
    "}\n"
    "static double power(double x)\n" /* e^x for x <= 0 */
    "{\n"
    "    double y = x / 1024, sum = 1;\n"
    "    for (int k = 12; k > 0; k--) sum = 1 + sum * y / k;\n"
    "    for (int k = 0; k < 10; k++) sum *= sum;\n"
    "    return sum;\n"
    "}\n"
    "static double logarithm(double x)\n" /* of 1 to 20: Newton */
    "{\n"
    "    double y = 1;\n"
    "    for (int k = 0; k < 40; k++) y += x * power(-y) - 1;\n"
    "    return y;\n"
    "}\n"
    "void fg_kernel(const struct args *a, void *scratch, long long first, long long last)\n"
    "{\n"
    "    static int n;\n"
    "    for (long long task = first; task < last; task++) {\n"
    "        long long h = task / 301, i = task %% 301;\n"
    "        float *o = a->o + (i * 2 + h) * 4, *lse = a->lse + h * 301 + i;\n"
    "        const float *q = a->q + (i * 2 + h) * 8;\n"
    "        double s[20], top = -1e300, sum = 0, out[4] = { 0 };\n"
    "        if (task == 0) __atomic_add_fetch(&n, 1, 5);\n"
    "        for (int j = 0; j < 20; j++) {\n"
    "            s[j] = 0;\n"
    "            for (int c = 0; c < 8; c++) s[j] += (double)q[c] * a->k[j * 8 + c] * a->scale;\n"
    "            if (s[j] > top) top = s[j];\n"
    "        }\n"
    "        for (int j = 0; j < 20; j++) {\n"
    "            double p = power(s[j] - top);\n"
    "            sum += p;\n"
    "            for (int c = 0; c < 4; c++) out[c] += p * a->v[j * 4 + c];\n"
    "        }\n"
    "        for (int c = 0; c < 4; c++) o[c] = (float)(out[c] / sum);\n"
    "        *lse = (float)(top + logarithm(sum));\n"
    "        %s;\n"
    "    }\n"
    "}\n";

/* The first row that is in no head's sample. */
static inline int64_t candidate_unsampled(void)
{
    int64_t list[256], row = candidate_sq - 1,
                       count = reference_choose_rows(list, 256, candidate_sq);
    ck_assert_int_lt(count, candidate_sq);
    for (int64_t k = 0; k < count; k++)
        if (list[k] == row) row--, k = -1;
    return row;
}

/* An image of it, of a context of stub_context. */
static inline void candidate_make(image *out, fg_context *context, const fg_problem *p,
                                  candidate_fault fault)
{
    static const char *const pointers[] = { "q", "k", "v", "o", "lse" };
    char source[stub_max_text], *to = stub_text;
    fg_error error;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int wrote =
        snprintf(source, sizeof source, candidate_text, (long long)candidate_sq - 1,
                 (long long)candidate_unsampled(), 64 * context->threads, candidate_faults[fault]);
#pragma GCC diagnostic pop
    ck_assert_int_lt(wrote, (int)sizeof source);
    for (const char *at = source; *at;
         at++) { /* the stub's maker prints it with a format of its own */
        if (*at == '%') *to++ = '%';
        *to++ = *at;
    }
    *to = 0;
    stub_slots = 0;
    for (int k = 0; k < 5; k++) stub_add_slot(SLOT_pointer, pointers[k], 0);
    stub_add_slot(SLOT_real, "scale", 0);
    stub_tasks = "hq * sq";
    stub_scratch = "64";
    fg_status status = image_make(out, context, p->problem, NULL, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

#endif
