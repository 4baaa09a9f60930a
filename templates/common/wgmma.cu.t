% -- What sm_90a adds: products of warpgroups (four warps, from a warp number divisible by 4 on), whose operands are in shared
% -- memory; barriers there; registers that go from one warpgroup to another. Comes in: kind (f16 or bf16), keys (columns of S,
% -- a multiple of 16) and columns (of O, of 8), to 256; steps: 16 columns of Q and K each; q_panel, k_panel: bytes from one of
% -- their panels to the next; turns: whether warpgroups multiply in turns.
/* A matrix in shared memory for products: lines of 128 bytes, 64 elements each, whose chunks of 16 bytes are permuted by the
 * line's number; columns from 64 on are in the next panel, so many bytes further on. `at` is a multiple of 1024. */
DEVICE u64 matrix_at(u32 at, u32 panel)
{
    return (u64)(at >> 4 & 0x3fff) | (u64)(panel >> 4) << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

% local function registers(from, count)
%   local list = {}
%   for x = from, from + count - 1 do list[#list + 1] = "%" .. x end
%   return table.concat(list, ", ")
% end
% local function operands(form, count)
%   local list = {}
%   for x = 0, count - 1 do list[#list + 1] = form:format(x // 4, x % 4) end
%   return table.concat(list, ", ")
% end
% local s_count, o_count, p_count = keys // 2, columns // 2, keys // 4 -- of a lane's registers
#define REGISTERS_S "{${registers(0, s_count)}}"
#define REGISTERS_O "{${registers(0, o_count)}}"

/* S = Q K^T: 64 rows, ${keys} keys, ${16 * steps} columns of Q and K. Of S a lane has what mma.sync gives it. A product takes
 * 16 columns; the next ones are 32 bytes further along a line, which matrices count by sixteens. */
DEVICE void multiply_s(float (&s)[${keys // 8}][4], u64 q, u64 k)
{
    asm volatile("{ .reg .b64 q, k; .reg .pred first, more; setp.ne.u32 first, 0, 0; setp.eq.u32 more, 0, 0;\n"
% for x = 0, steps - 1 do
                 "add.s64 q, %${s_count}, ${(x // 4 * q_panel + x % 4 * 32) // 16}; add.s64 k, %${s_count + 1}, ${(x // 4 * k_panel + x % 4 * 32) // 16};\n"
                 "wgmma.mma_async.sync.aligned.m64n${keys}k16.f32.${kind}.${kind} " REGISTERS_S ", q, k, ${x == 0 and "first" or "more"}, 1, 1, 0, 0;\n"
% end
                 "}"
                 : ${operands('"+f"(s[%d][%d])', s_count)}
                 : "l"(q), "l"(k));
}

/* O += P V: 64 rows, ${columns} columns, ${keys} keys; P as mma.sync takes it, V's lines are keys. */
DEVICE void multiply_o(float (&o)[${columns // 8}][4], const u32 (&p)[${keys // 16}][4], u64 v)
{
    asm volatile("{ .reg .b64 v;\n"
% for x = 0, keys // 16 - 1 do
                 "add.s64 v, %${o_count + p_count}, ${x * 2048 // 16};\n"
                 "wgmma.mma_async.sync.aligned.m64n${columns}k16.f32.${kind}.${kind} " REGISTERS_O ", {${registers(o_count + 4 * x, 4)}}, v, 1, 1, 1, 1;\n"
% end
                 "}"
                 : ${operands('"+f"(o[%d][%d])', o_count)}
                 : ${operands('"r"(p[%d][%d])', p_count)}, "l"(v));
}

/* Products run in the background: before the first of a group, behind the last, and until at most N groups are under way. */
DEVICE void begin_products(void) { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void commit_products(void) { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> DEVICE void wait_products(void) { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }

/* Results of products, for the compiler: they are there from here on. */
template <int N> DEVICE void here(float (&x)[N][4])
{
#pragma unroll
    for (int n = 0; n < N; n++) asm volatile("" : "+f"(x[n][0]), "+f"(x[n][1]), "+f"(x[n][2]), "+f"(x[n][3])::"memory");
}

/* What threads have written to shared memory, or seen written there, is what products read from here on. */
DEVICE void show_products(void) { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/* Barriers in shared memory, 8 bytes each: a phase ends when `count` threads have arrived; phases are numbered from 0 on. */
DEVICE void phases_init(u32 at, u32 count) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(count) : "memory"); }
DEVICE void phase_arrive(u32 at) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at) : "memory"); }

/* Until the last phase whose number is odd, or even, has ended. */
DEVICE void phase_wait(u32 at, u32 odd)
{
    asm volatile("{ .reg .pred p;\n"
                 "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@!p bra again; }" ::"r"(at), "r"(odd) : "memory");
}

/* Threads of some warps wait for each other; number 0 is the block's. */
template <int THREADS> DEVICE void group_barrier(int number) { asm volatile("barrier.cta.sync.aligned %0, %1;" ::"r"(number), "n"(THREADS) : "memory"); }

% if turns then
/* Two warpgroups: one waits until the other has passed the turn with this number. */
DEVICE void wait_turn(int number) { asm volatile("barrier.cta.sync.aligned %0, 256;" ::"r"(number) : "memory"); }
DEVICE void pass_turn(int number) { asm volatile("barrier.cta.arrive.aligned %0, 256;" ::"r"(number) : "memory"); }

% end
/* A warpgroup gives registers away, or takes them. */
template <int N> DEVICE void give_registers(void) { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }
template <int N> DEVICE void take_registers(void) { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
