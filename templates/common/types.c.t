% -- Types of the emitted C. Comes in: target, p. f32, f16 and bf16 are elements of tensors, aligned as promised.
% local function element(name, ctype, size)
%   local align = p.align < size and (" __attribute__((aligned(%d)))"):format(p.align) or ""
typedef ${ctype} ${name}${align};
% end
typedef long long i64;
typedef unsigned char u8;
% element("i32", "int", 4)
% element("f32", "float", 4)
% element("f16", "unsigned short", 2)
% element("bf16", "unsigned short", 2)

enum { LANES = ${target.lanes} };
typedef float vf __attribute__((vector_size(${target.bytes})));
typedef int vi __attribute__((vector_size(${target.bytes})));
typedef unsigned vu __attribute__((vector_size(${target.bytes})));

#define INF __builtin_inff()
#define LOG2E ${f32(1.4426950408889634)}
