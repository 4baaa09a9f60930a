% -- Types of the emitted C. Comes in: target, p. f32, f64, f16 and bf16 are elements of tensors, aligned as promised.
% local double = target.real == "f64"
% local function element(name, ctype, size)
%   local align = p.align < size and (" __attribute__((aligned(%d)))"):format(p.align) or ""
typedef ${ctype} ${name}${align};
% end
typedef long long i64;
typedef unsigned char u8;
% element("i32", "int", 4)
% element("f32", "float", 4)
% element("f64", "double", 8)
% element("f16", "unsigned short", 2)
% element("bf16", "unsigned short", 2)

enum { LANES = ${target.lanes} };
typedef ${double and "double" or "float"} real; /* of scores, sums and all between */
typedef real vr __attribute__((vector_size(${target.bytes})));
% if double then
/* int32 values, and masks: in lanes as wide as those of vr, of the type that comparisons give. */
typedef long vi __attribute__((vector_size(${target.bytes})));
typedef unsigned long vu __attribute__((vector_size(${target.bytes})));
% else
typedef int vi __attribute__((vector_size(${target.bytes})));
typedef unsigned vu __attribute__((vector_size(${target.bytes})));
% end

#define INF ${double and "__builtin_inf()" or "__builtin_inff()"}
#define LOG2E ${target.literal(1.4426950408889634)}
/* What takes gcc a third of its time and makes these kernels no faster. */
#ifndef __clang__ /* which says that it does not know it */
#pragma GCC optimize("no-gcse", "no-code-hoisting", "no-tree-pre", "no-tree-vrp", "no-tree-bit-ccp", "no-tree-dominator-opts", \
                     "no-tree-slsr", "no-tree-sink", "no-thread-jumps", "no-ipa-cp", "no-ipa-sra", "no-ipa-modref", \
                     "no-cse-follow-jumps", "no-rerun-cse-after-loop", "no-if-conversion", "no-if-conversion2", "no-dce", \
                     "no-dse", "no-schedule-insns2", "ira-region=one")
#endif
/* What an inner loop calls is inlined before else is done with it; what surrounds one is not: it takes its registers,
 * and compiles faster by itself. */
#define INLINE static inline __attribute__((always_inline))
#define APART __attribute__((noinline))
/* Arrays that such loops index may live in registers. */
#define UNROLLED _Pragma("GCC unroll 16")
