#include "runtime/device_cpu.h"

#include "gen/core/text.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__x86_64__)

typedef struct cpuid {
    uint32_t r[4]; /* eax ebx ecx edx */
} cpuid;

static cpuid cpuid_read(uint32_t leaf, uint32_t subleaf)
{
    cpuid c = { { 0 } };
    if (leaf <= (uint32_t)__get_cpuid_max(leaf & 0x80000000u, NULL))
        __cpuid_count(leaf, subleaf, c.r[0], c.r[1], c.r[2], c.r[3]);
    return c;
}

static bool has(cpuid c, int reg, uint32_t bits)
{
    return (c.r[reg] & bits) == bits;
}

/* The system saves these register states between threads. */
static bool system_saves(uint32_t states)
{
    if (!has(cpuid_read(1, 0), 2, bit_OSXSAVE)) return false;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & states) == states;
}

enum { STATE_avx = 0x06, STATE_avx512 = 0xe6 };

static bool has_avx2(void)
{
    return system_saves(STATE_avx) && has(cpuid_read(1, 0), 2, bit_AVX | bit_FMA | bit_F16C) &&
           has(cpuid_read(7, 0), 1, bit_AVX2);
}

static bool has_avx512(void)
{
    uint32_t bits = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX512CD;
    return has_avx2() && system_saves(STATE_avx512) && has(cpuid_read(7, 0), 1, bits);
}

static bool has_avx512bf16(void)
{
    return has_avx512() && cpuid_read(7, 0).r[0] >= 1 && has(cpuid_read(7, 1), 0, 1u << 5);
}

#else

static bool has_avx2(void)
{
    return false;
}

#define has_avx512     has_avx2
#define has_avx512bf16 has_avx2

#endif

static bool always(void)
{
    return true;
}

#define FLAGS_avx2   "-mavx2 -mfma -mf16c"
#define FLAGS_avx512 FLAGS_avx2 " -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd"

static const cpu_isa isas[] = {
    { "portable", "", always, false },
    { "avx2", FLAGS_avx2, has_avx2, false },
    { "avx512", FLAGS_avx512, has_avx512, false },
    { "avx512bf16", FLAGS_avx512 " -mavx512bf16", has_avx512bf16, true },
};

enum { isa_count = sizeof isas / sizeof *isas };

static fg_status isa_choose(const cpu_isa **out, const char *limit, fg_error *error)
{
    size_t last = isa_count - 1;
    while (limit && strcmp(isas[last].name, limit) != 0)
        if (last-- == 0)
            return fail(
                error, FG_REQUEST,
                "there is no instruction set \"%.40s\": it is portable, avx2, avx512 or avx512bf16",
                limit);
    while (!isas[last].applicable()) last--;
    *out = &isas[last];
    return FG_OK;
}

/* The brand string, without the blanks that some processors pad it with. */
static void name_read(char out[64])
{
    char brand[49] = "";
#if defined(__x86_64__)
    for (uint32_t k = 0; k < 3; k++) {
        cpuid part = cpuid_read(0x80000002u + k, 0);
        memcpy(brand + 16 * k, part.r, 16);
    }
#endif
    const char *first = brand + strspn(brand, " ");
    size_t length = strlen(first);
    while (length > 0 && first[length - 1] == ' ') length--;
    if (length == 0)
        snprintf(out, 64, "unknown processor");
    else
        snprintf(out, 64, "%.*s", (int)length, first);
}

/* Processors that this process may run on. The kernel wants a mask as long as its own, or longer. */
static int cores_read(void)
{
    cpu_set_t set[16];
    memset(set, 0, sizeof set);
    if (sched_getaffinity(0, sizeof set, set) != 0) return 1;
    int cores = CPU_COUNT_S(sizeof set, set);
    return cores > 0 ? cores : 1;
}

static int64_t cache_read(int name, int64_t otherwise)
{
    long bytes = sysconf(name);
    return bytes > 0 ? bytes : otherwise; /* virtual machines may say 0 */
}

fg_status device_cpu_open(device_cpu *out, const char *isa_limit, fg_error *error)
{
    name_read(out->name);
    out->cores = cores_read();
    out->l1_bytes = cache_read(_SC_LEVEL1_DCACHE_SIZE, 32 << 10);
    out->l2_bytes = cache_read(_SC_LEVEL2_CACHE_SIZE, 512 << 10);
    return isa_choose(&out->isa, isa_limit, error);
}
