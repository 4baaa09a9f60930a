% -- Types of emitted CUDA. Comes in: loose: how elements are aligned that are less than their types, or false.
typedef long long i64;
typedef unsigned long long u64;
typedef unsigned u32;
typedef unsigned char u8;
typedef int i32;
typedef float f32;
typedef double f64;
typedef unsigned short f16;
typedef unsigned short bf16;
% if loose then

/* An element that may stand at any ${loose > 1 and loose .. " bytes" or "byte"}: that a type's name has less alignment, NVRTC does not heed. */
template <class T> struct __attribute__((packed, aligned(${loose}))) loose {
    T x;
};
% end

#define INF __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)
#define LOG2E ${f32(1.4426950408889634)}
