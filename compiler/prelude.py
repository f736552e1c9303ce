"""The constant part of the generated C header: integer types, checked conversions, text, messages, atomics."""

from __future__ import annotations

from compiler import typesystem as t

DISTINCT = [t.INTS[name] for name in ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64")]

TYPES = """\
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long u64;
typedef signed char i8; typedef short i16; typedef int i32; typedef long i64; typedef _Bool boolean;
typedef struct text text; struct text { const char *data; u64 length; };
typedef struct piece piece; struct piece { const char *literal; u32 length; u16 slot; u8 kind; u8 width; u8 flags; };
typedef struct message message; struct message { const piece *pieces; const u64 *values; u32 count; };
"""

HELPERS = """\
#define NULL ((void *)0)
typedef u16 __attribute__((aligned(1))) cx_packed_u16; typedef u32 __attribute__((aligned(1))) cx_packed_u32;
typedef u64 __attribute__((aligned(1))) cx_packed_u64; typedef i16 __attribute__((aligned(1))) cx_packed_i16;
typedef i32 __attribute__((aligned(1))) cx_packed_i32; typedef i64 __attribute__((aligned(1))) cx_packed_i64;
#define CX_GOTO(n) goto cx_##n
#define CX_LABEL(n) cx_##n: (void)0
#define CX_FAILED(error) __builtin_expect((error) != 0, 0)
#define CX_INLINE static inline __attribute__((always_inline, nodebug, unused))
CX_INLINE void cx_zero(void *object, u64 size) { __builtin_memset(object, 0, size); }
/* Traps keep places of their own: the compiler lets equal ones share one, but not inline assembly. */
#ifdef __aarch64__
#define CX_TRAP(kind) __asm__ volatile("brk %0" : : "i"(0x5500 + (kind)))
#define CX_STOP() do { __asm__ volatile("brk 1"); __builtin_trap(); } while (0)
#elif defined(__x86_64__) && !__STDC_HOSTED__
#define CX_TRAP(kind) __asm__ volatile("ud1l %c0(%%eax), %%eax" : : "i"(kind))
#define CX_STOP() do { __asm__ volatile("ud2"); __builtin_trap(); } while (0)
#else
#define CX_TRAP(kind) (void)0
#define CX_STOP() __builtin_trap()
#endif
CX_INLINE _Noreturn void cx_trap(void) { CX_STOP(); }
CX_INLINE u64 cx_index(u64 index, u64 length) { if (index >= length) { CX_TRAP(18); __builtin_trap(); } return index; }
CX_INLINE u64 cx_field(u64 value, u64 mask) { if (value > mask) CX_STOP(); return value; }
CX_INLINE text cx_text_at(u64 address, u64 length) { return (text){ (const char *)address, length }; }
CX_INLINE u8 cx_text_byte(text s, u64 index) { if (index >= s.length) CX_STOP(); return (u8)s.data[index]; }
CX_INLINE text cx_text_part(text s, u64 start, u64 stop) {
    if (start > stop || stop > s.length) CX_STOP();
    return (text){ s.data + start, stop - start };
}
static inline __attribute__((unused)) boolean cx_text_same(text a, text b) {
    if (a.length != b.length) return 0;
    for (u64 i = 0; i < a.length; i++) if (a.data[i] != b.data[i]) return 0;
    return 1;
}
CX_INLINE boolean cx_text_startswith(text s, text head) {
    return head.length <= s.length && cx_text_same((text){ s.data, head.length }, head);
}
CX_INLINE boolean cx_text_endswith(text s, text tail) {
    return tail.length <= s.length && cx_text_same((text){ s.data + (s.length - tail.length), tail.length }, tail);
}
CX_INLINE message cx_message(const piece *pieces, const u64 *values, u32 count) {
    return (message){ pieces, values, count };
}
CX_INLINE u32 cx_message_count(message m) { return m.count; }
CX_INLINE const piece *cx_piece(message m, u32 i) { if (i > m.count) CX_STOP(); return &m.pieces[i]; }
CX_INLINE text cx_message_literal(message m, u32 i) {
    const piece *p = cx_piece(m, i);
    return (text){ p->literal, p->length };
}
CX_INLINE u8 cx_message_kind(message m, u32 i) { return cx_piece(m, i)->kind; }
CX_INLINE u8 cx_message_width(message m, u32 i) { return cx_piece(m, i)->width; }
CX_INLINE u8 cx_message_flags(message m, u32 i) { return cx_piece(m, i)->flags; }
CX_INLINE u64 cx_message_value(message m, u32 i) { return m.values[cx_piece(m, i)->slot]; }
CX_INLINE text cx_message_text(message m, u32 i) {
    const piece *p = cx_piece(m, i);
    return (text){ (const char *)m.values[p->slot], m.values[p->slot + 1] };
}
"""

TURNS = """\
#define CX_TURN() do { if (__builtin_expect(cx_turn != 0, 0)) cx_turn(); } while (0)
extern void (*cx_turn)(void);
"""
"""On a host, what runs before each atomic operation: there the simulated machine lets another CPU go on."""

NO_TURNS = """\
#define CX_TURN() (void)0
"""

ATOMICS = """\
#define CX_ATOMIC(T) \\
CX_INLINE T cx_atomic_load_##T(T *p) { CX_TURN(); return __atomic_load_n(p, __ATOMIC_SEQ_CST); } \\
CX_INLINE T cx_atomic_load_acquire_##T(T *p) { CX_TURN(); return __atomic_load_n(p, __ATOMIC_ACQUIRE); } \\
CX_INLINE T cx_atomic_load_relaxed_##T(T *p) { CX_TURN(); return __atomic_load_n(p, __ATOMIC_RELAXED); } \\
CX_INLINE void cx_atomic_store_##T(T *p, T v) { CX_TURN(); __atomic_store_n(p, v, __ATOMIC_SEQ_CST); } \\
CX_INLINE void cx_atomic_store_release_##T(T *p, T v) { CX_TURN(); __atomic_store_n(p, v, __ATOMIC_RELEASE); } \\
CX_INLINE void cx_atomic_store_relaxed_##T(T *p, T v) { CX_TURN(); __atomic_store_n(p, v, __ATOMIC_RELAXED); } \\
CX_INLINE T cx_atomic_exchange_##T(T *p, T v) { CX_TURN(); return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); } \\
CX_INLINE boolean cx_atomic_compare_exchange_##T(T *p, T old, T new) { \\
    CX_TURN(); return __atomic_compare_exchange_n(p, &old, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }
#define CX_ATOMIC_INTEGER(T) CX_ATOMIC(T) \\
CX_INLINE T cx_atomic_add_##T(T *p, T v) { CX_TURN(); return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); } \\
CX_INLINE T cx_atomic_sub_##T(T *p, T v) { CX_TURN(); return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST); } \\
CX_INLINE T cx_atomic_or_##T(T *p, T v) { CX_TURN(); return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST); } \\
CX_INLINE T cx_atomic_and_##T(T *p, T v) { CX_TURN(); return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST); }
CX_ATOMIC(boolean)
#define cx_atomic_ref_load(p) ({ CX_TURN(); __atomic_load_n(p, __ATOMIC_SEQ_CST); })
#define cx_atomic_ref_load_acquire(p) ({ CX_TURN(); __atomic_load_n(p, __ATOMIC_ACQUIRE); })
#define cx_atomic_ref_load_relaxed(p) ({ CX_TURN(); __atomic_load_n(p, __ATOMIC_RELAXED); })
#define cx_atomic_ref_store(p, v) ({ CX_TURN(); __atomic_store_n(p, v, __ATOMIC_SEQ_CST); })
#define cx_atomic_ref_store_release(p, v) ({ CX_TURN(); __atomic_store_n(p, v, __ATOMIC_RELEASE); })
#define cx_atomic_ref_store_relaxed(p, v) ({ CX_TURN(); __atomic_store_n(p, v, __ATOMIC_RELAXED); })
#define cx_atomic_ref_exchange(p, v) ({ CX_TURN(); __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); })
#define cx_atomic_ref_compare_exchange(p, old, new) ({ \\
    CX_TURN(); __typeof__(*(p)) expected_ = (old); \\
    (boolean)__atomic_compare_exchange_n(p, &expected_, new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); })
"""


def inline(result: str, name: str, parameters: str, body: str) -> str:
    return f"CX_INLINE {result} {name}({parameters}) {{ {body} }}"


def conversions() -> list[str]:
    """Conversions that trap when the value does not fit."""
    lines = []
    for source in DISTINCT:
        long = "L" if source.bits == 64 else ""
        for target in DISTINCT:
            if source is target or (target.low <= source.low and source.high <= target.high):
                continue
            tests = []
            if source.low < target.low:
                tests.append("x < 0" if target.low == 0 else f"x < ({target.low}{long})")
            if source.high > target.high:
                tests.append(f"x > {target.high}{'U' if long and not source.signed else ''}{long}")
            name = f"cx_{target.key}_of_{source.key}"
            body = f"if ({' || '.join(tests)}) CX_STOP(); return ({target.key})x;"
            lines.append(inline(target.key, name, f"{source.key} x", body))
    return lines


def bit_words() -> list[str]:
    lines = []
    for kind in DISTINCT:
        bits, c = kind.bits, kind.key
        shift = f"if (n >= {bits}) CX_STOP(); return ({c})"
        if kind.signed or bits < 32:
            wide = "u64" if kind.signed else "u32"
            lines.append(inline(c, f"cx_shl_{c}", f"{c} x, u64 n", f"{shift}(({wide})x << n);"))
        if bits < 32:
            lines.append(inline(c, f"cx_shr_{c}", f"{c} x, u64 n", f"{shift}(x >> n);"))
        if not kind.signed:
            suffix, wide = ("l", "u64") if bits == 64 else ("", "u32")
            extra = f" - {32 - bits}" if bits < 32 else ""
            for word, builtin in (("leading_zeros", "clz"), ("trailing_zeros", "ctz"), ("popcount", "popcount")):
                less = extra if builtin == "clz" else ""
                body = f"return (u32)__builtin_{builtin}{suffix}(({wide})x){less};"
                lines.append(inline("u32", f"cx_{word}_{c}", f"{c} x", body))
            swap = f"__builtin_bswap{bits}(x)" if bits > 8 else "x"
            lines.append(inline(c, f"cx_byteswap_{c}", f"{c} x", f"return {swap};"))
    return lines


def helpers(hosted: bool) -> str:
    turns = TURNS if hosted else NO_TURNS
    atomics = [f"CX_ATOMIC_INTEGER({kind.key})" for kind in DISTINCT]
    return HELPERS + "\n".join([*conversions(), *bit_words()]) + "\n" + turns + ATOMICS + "\n".join(atomics) + "\n"
