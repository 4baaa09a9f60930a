/* Candidates for a GPU written by hand: plain attention, and ways to get it wrong; for one that is there, and for that
 * of tests/fake_cuda.c. */
#ifndef TESTS_CUDA_CANDIDATE_H
#define TESTS_CUDA_CANDIDATE_H

#include "tests/candidate_stub.h"

/* X(name, statement): done beside computing row i of head h, at o and lse. `n` counts runs. END(code) ends the kernel
 * as a fault of the GPU does. A worker has this variable of the environment if it was set when the worker started. */
/* clang-format off */
#define CUDA_FAULTS(X)                                                                            \
    X(none, (void)0)                                                                              \
    X(wrong_sampled, if (i == SAMPLED) o[1] += 0.01f)                                             \
    X(wrong_unsampled, if (i == UNSAMPLED && h == 1) o[3] += 0.00001f)                            \
    X(wrong_lse, if (i == UNSAMPLED && h == 1) *lse += 0.0001f)                                   \
    X(unwritten, if (i == UNSAMPLED && h == 1) *(unsigned *)&o[3] = 0xffffffffu)                  \
    X(before, if (i == 0 && h == 0) o[-1] = 1)                                                    \
    X(behind, if (i == 300 && h == 1) o[4] = 1)                                                   \
    X(far_behind, if (i == 300 && h == 1) o[60000] = 1)                                           \
    X(lse_behind, if (i == 300 && h == 1) lse[1] = 1)                                             \
    X(workspace_before, if (i == 0) a->work[-1] = 1)                                              \
    X(workspace_behind, if (i == 0) a->work[WORK] = 1)                                            \
    X(input, if (i == 0 && h == 0) a->k[3] += 1)                                                  \
    X(input_before, if (i == 0 && h == 0) a->v[-1] = 1)                                           \
    X(reads_behind, if (i == 0 && h == 0) o[1] += 1e-30f * a->q[301 * 2 * 8 + 100])               \
    X(crash, if (i == 7) END(700))                                                                \
    X(hang, if (i == 7) while (!stop) {})                                                         \
    X(late_crash, if (i == 7 && n >= 8) END(700))                                                 \
    X(late_hang, if (i == 7 && n >= 8) while (!stop) {})                                          \
    X(between, if (i == UNSAMPLED && h == 1) o[COLUMNS] = 1)                                      \
    X(next_worker, if (i == 7 && getenv("CUDA_MPS_PIPE_DIRECTORY")) END(700))                     \
    X(slow, if (i == 7) for (int k = 0; k < 300000; k++) stop = stop)
/* clang-format on */

typedef enum cuda_fault {
#define CUDA_FAULT_ENUM(name, statement) CUDA_FAULT_##name,
    CUDA_FAULTS(CUDA_FAULT_ENUM)
#undef CUDA_FAULT_ENUM
        cuda_fault_count
} cuda_fault;

static const char *const cuda_faults[] = {
#define CUDA_FAULT_TEXT(name, statement) #statement,
    CUDA_FAULTS(CUDA_FAULT_TEXT)
#undef CUDA_FAULT_TEXT
};

enum { cuda_candidate_work = 1024 }; /* bytes of workspace */

static const char *const cuda_candidate_text =
    "struct args { float *q, *k, *v, *o, *lse; double scale; volatile char *work; };\n"
    "enum { SAMPLED = %lld, UNSAMPLED = %lld, WORK = %d, COLUMNS = %d };\n"
    "#ifdef __CUDACC__\n"
    "#define FUNCTION static __device__\n"
    "#define END(code) *(volatile int *)8 = code\n"
    "#else\n"
    "#define FUNCTION static\n"
    "#define END(code) return code\n"
    "char *getenv(const char *);\n"
    "#endif\n"
    "FUNCTION int n;\n"
    "FUNCTION volatile int stop;\n"     /* 0; NVRTC takes a volatile local for a register */
    "FUNCTION double power(double x)\n" /* e^x for x <= 0 */
    "{\n"
    "    double y = x / 1024, sum = 1;\n"
    "    for (int k = 12; k > 0; k--) sum = 1 + sum * y / k;\n"
    "    for (int k = 0; k < 10; k++) sum *= sum;\n"
    "    return sum;\n"
    "}\n"
    "FUNCTION double logarithm(double x)\n" /* of 1 to 20: Newton */
    "{\n"
    "    double y = 1;\n"
    "    for (int k = 0; k < 40; k++) y += x * power(-y) - 1;\n"
    "    return y;\n"
    "}\n"
    "FUNCTION int row(const struct args *a, long long task)\n"
    "{\n"
    "    long long h = task / 301, i = task %% 301;\n"
    "    float *o = a->o + (i * 2 + h) * 4, *lse = a->lse + h * 301 + i;\n"
    "    const float *q = a->q + (i * 2 + h) * 8;\n"
    "    double s[20], top = -1e300, sum = 0, out[4] = { 0 };\n"
    "    if (task == 0) n++;\n"
    "    for (int j = 0; j < 20; j++) {\n"
    "        s[j] = 0;\n"
    "        for (int c = 0; c < 8; c++) s[j] += (double)q[c] * a->k[j * 8 + c] * a->scale;\n"
    "        if (s[j] > top) top = s[j];\n"
    "    }\n"
    "    for (int j = 0; j < 20; j++) {\n"
    "        double p = power(s[j] - top);\n"
    "        sum += p;\n"
    "        for (int c = 0; c < 4; c++) out[c] += p * a->v[j * 4 + c];\n"
    "    }\n"
    "    for (int c = 0; c < COLUMNS; c++) o[c] = (float)(out[c] / sum);\n"
    "    *lse = (float)(top + logarithm(sum));\n"
    "    %s;\n"
    "    return 0;\n"
    "}\n"
    "#ifdef __CUDACC__\n"
    "extern \"C\" __global__ void fg_kernel(const struct args a)\n"
    "{\n"
    "    if (threadIdx.x == 0) row(&a, blockIdx.x);\n"
    "}\n"
    "#else\n"
    "int fake_block(const struct args *a, unsigned block) { return row(a, block); } /* fg_kernel "
    "*/\n"
    "#endif\n";

static inline void cuda_candidate_write(char *out, size_t size, int64_t unsampled, int columns,
                                        int fault)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int wrote = snprintf(out, size, cuda_candidate_text, (long long)candidate_sq - 1,
                         (long long)unsampled, cuda_candidate_work, columns, cuda_faults[fault]);
#pragma GCC diagnostic pop
    ck_assert_int_lt(wrote, (int)size);
}

/* What its arguments, its workspace and its launch are. */
static inline void cuda_candidate_launch(void)
{
    static const char *const pointers[] = { "q", "k", "v", "o", "lse" };
    stub_slots = 0;
    for (int k = 0; k < 5; k++) stub_add_slot(SLOT_pointer, pointers[k], 0);
    stub_add_slot(SLOT_real, "scale", 0);
    stub_add_slot(SLOT_region, "work", 0);
    stub_regions = 0;
    stub_add_region("work", "1024", false);
    stub_tasks = "hq * sq";
    stub_scratch = "0";
    stub_threads = 32;
}

/* An image of it, of a context whose maker is the stub's. */
static inline void cuda_candidate_make(image *out, fg_context *context, const fg_problem *p,
                                       cuda_fault fault)
{
    char source[stub_max_text], *to = stub_text;
    fg_error error;
    cuda_candidate_launch();
    cuda_candidate_write(source, sizeof source, candidate_unsampled(), (int)p->problem->dv,
                         (int)fault);
    for (const char *at = source; *at; at++) { /* it is printed with a format */
        if (*at == '%') *to++ = '%';
        *to++ = *at;
    }
    *to = 0;
    fg_status status = image_make(out, context, p->problem, NULL, NULL, &error);
    ck_assert_msg(status == FG_OK, "%s", error.text);
}

#endif
