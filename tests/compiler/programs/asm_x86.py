"""Instructions of x86-64 with several results."""

from hv.lang import asm, u32, u64


@asm("cpuid", leaf="rax", subleaf="rcx", results="rax rbx rcx rdx")
def cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]: ...


@asm("btq {bit}, {word}", result="@c", pure=True)
def bit_set(word: u64, bit: u64) -> bool: ...


@asm("movq {a}, {result0}\n\tsubq {b}, {result0}", results="any @be")
def difference(a: u64, b: u64) -> tuple[u64, bool]: ...


def vendor(n: u64) -> u64:
    _, b, c, d = cpuid(0, 0)
    return u64(b) + (u64(d) << 32) if n == 0 else u64(c)


def bits(n: u64) -> u64:
    return u64(bit_set(n, 3)) + 2 * u64(bit_set(n, 63))


def differences(n: u64) -> u64:
    left, below = difference(n, 100)
    return left * 2 + u64(below)
