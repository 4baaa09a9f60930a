% -- Types of emitted CUDA. Comes in: p. f32, f16 and bf16 are elements of tensors, aligned as promised.
% local function element(name, ctype, size)
%   local align = p.align < size and (" __attribute__((aligned(%d)))"):format(p.align) or ""
typedef ${ctype} ${name}${align};
% end
typedef long long i64;
typedef unsigned long long u64;
typedef unsigned u32;
typedef unsigned char u8;
% element("i32", "int", 4)
% element("f32", "float", 4)
% element("f64", "double", 8)
% element("f16", "unsigned short", 2)
% element("bf16", "unsigned short", 2)

#define INF __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)
#define LOG2E ${f32(1.4426950408889634)}
