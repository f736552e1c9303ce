"""Instructions and system registers: off the machine they do nothing, give 0, and keep what was written."""

from hv.lang import Final, SystemRegister, asm, export, u32, u64

SYNDROME: Final = SystemRegister("esr_el2")
VECTORS: Final = SystemRegister("vbar_el2")


@asm("msr daifset, {mask:i}")
def mask_interrupts(mask: u64) -> None: ...


@asm("mrs {result}, cntpct_el0")
def counter() -> u64: ...


@asm("rbit {result:w}, {x:w}", pure=True)
def reversed_bits(x: u32) -> u32: ...


@export
def entered_from_assembly(x: u64) -> u64:
    return x + 1


def test_instructions() -> u64:
    mask_interrupts(15)
    return counter() + u64(reversed_bits(5)) + 1


def test_registers() -> u64:
    start = SYNDROME.read()
    SYNDROME.write(0xFFFF_FFFF_FFFF_FFFF)
    VECTORS.write(SYNDROME.read() + 5)
    return start + SYNDROME.read() ^ VECTORS.read()


def test_exported() -> u64:
    return entered_from_assembly(41)
