"""Storms: of interrupts to itself, to vCPUs that there are not and to all others, of devices' interrupts, and of
maintenance of caches and translations. Each is counted: what was sent comes exactly once, and what was for nobody to
nobody; and memory is as it was.
"""

from guests.attempts import Attempts, attempts
from guests.lib import gicv2, gicv3, uart
from guests.lib.controller import DISTRIBUTOR, EVERY, FIRST_SHARED, FIRST_SPECIAL, taken
from guests.lib.cpu import interrupt_window
from guests.lib.gic import gic, has_registers
from guests.lib.mmio import read32, write32
from guests.lib.random import Random
from guests.verdict import expect, recover_devices
from hv.lang import Final, SystemRegister, address_of, aligned, array, bounded, truncate, u32, u64

PAR_EL1: Final = SystemRegister("par_el1")
ICC_ASGI1R_EL1: Final = SystemRegister("icc_asgi1r_el1")
ICC_SGI0R_EL1: Final = SystemRegister("icc_sgi0r_el1")

ROUNDS: Final = 64
SGI: Final[u64] = 5
FRAME: Final[u64] = 0xF_FFFF_FFFF_F000  # PAR_EL1
FAILED: Final[u64] = 1
SEND: Final[u32] = 1 << 5  # of the UART's interrupts
ISPENDR: Final[u64] = 0x200
WINDOWS: Final = 4 * FIRST_SPECIAL

# Maintenance, with x0 (Arm DDI 0487, C5.3 to C5.5)
OPERATIONS: Final[array[u32, 24]] = array(
    0xD5087640,  # dc isw, x0
    0xD5087A40,  # dc csw, x0
    0xD5087E40,  # dc cisw, x0
    0xD5087620,  # dc ivac, x0
    0xD50B7A20,  # dc cvac, x0
    0xD50B7B20,  # dc cvau, x0
    0xD50B7E20,  # dc civac, x0
    0xD50883A0,  # tlbi vale1is, x0
    0xD508751F,  # ic iallu
    0xD508711F,  # ic ialluis
    0xD50B7520,  # ic ivau, x0
    0xD508871F,  # tlbi vmalle1
    0xD508831F,  # tlbi vmalle1is
    0xD5088720,  # tlbi vae1, x0
    0xD5088320,  # tlbi vae1is, x0
    0xD5088340,  # tlbi aside1is, x0
    0xD50883E0,  # tlbi vaale1is, x0
    0xD50C8020,  # tlbi ipas2e1is, x0: not for EL1
    0xD50C839F,  # tlbi alle1is: not for EL1
    0xD50C83DF,  # tlbi vmalls12e1is: not for EL1
    0xD5087800,  # at s1e1r, x0
    0xD5087820,  # at s1e1w, x0
    0xD5087840,  # at s1e0r, x0
    0xD50C7880,  # at s12e1r, x0: not for EL1
)
TRANSLATE: Final[u32] = 0xD5087800


@aligned(4096)
class Kept:
    words: array[u64, 512]


kept: Final = Kept()


def storm(seed: u64) -> None:
    recover_devices()
    gic.init_cpu()
    random = Random()
    random.init(seed)
    sgis(random)
    devices()
    level()
    maintain(attempts[0], random)
    recover_devices()
    gic.init_cpu()


def sgis(random: Random) -> None:
    gic.enable(u32(SGI))
    start = taken[0]
    for _ in range(ROUNDS):
        send_to_itself()
        interrupt_window()
    expect("interrupts taken, of those sent to itself:", SGI, taken[0] - start, ROUNDS)
    start = taken[0]
    for _ in range(ROUNDS):
        send_to_nobody(random)
        send_to_others()
        interrupt_window()
    expect("interrupts taken, of those sent to others:", SGI, taken[0] - start, 0)


def send_to_itself() -> None:
    if has_registers():
        gicv3.send_sgi(SGI << 24 | 1)
    else:
        write32(DISTRIBUTOR + gicv2.SGIR, 2 << 24 | u32(SGI))


def send_to_others() -> None:
    if has_registers():
        gicv3.send_sgi(SGI << 24 | 1 << 40)
    else:
        write32(DISTRIBUTOR + gicv2.SGIR, 1 << 24 | u32(SGI))


def send_to_nobody(random: Random) -> None:
    """CPUs that a cluster has not; clusters that there are not; and of a GICv3 the other security state's, or group."""
    word = random.word()
    if not has_registers():
        others = truncate(u32, word) & 0xFC
        write32(DISTRIBUTOR + gicv2.SGIR, others << 16 | u32(SGI))
        write32(DISTRIBUTOR + gicv2.SGIR, 3 << 24 | 0xFF << 16 | u32(SGI))
        return
    gicv3.send_sgi(SGI << 24 | word & 0xFFFC)
    gicv3.send_sgi(SGI << 24 | (word & 0xFE | 1) << 16 | word >> 16 & 0xFFFF)
    gicv3.send_sgi(SGI << 24 | 1 << 32 | word & 0xFF00_0000_0000 & ~u64(1 << 40) | 0xFFFF)
    gicv3.send_sgi(SGI << 24 | 1 << 55 | 0xFFFF)
    ICC_ASGI1R_EL1.write(SGI << 24 | 0xFFFF)
    ICC_SGI0R_EL1.write(SGI << 24 | 0xFFFF)


def devices() -> None:
    """All shared interrupts at once, again and again."""
    lines = min(32 * ((read32(DISTRIBUTOR + gicv2.TYPER) & 0x1F) + 1), FIRST_SPECIAL)
    start = taken[0]
    for _ in range(4):
        for i in bounded(FIRST_SHARED // 32, lines // 32, 32):
            write32(DISTRIBUTOR + gicv2.ISENABLER + u64(i) * 4, EVERY)
            write32(DISTRIBUTOR + ISPENDR + u64(i) * 4, EVERY)
        for _ in range(WINDOWS):
            if all_taken(lines):
                break
            interrupt_window()
    expect("interrupts taken, of devices up to", u64(lines), taken[0] - start, 4 * u64(lines - FIRST_SHARED))
    recover_devices()


def all_taken(lines: u32) -> bool:
    for i in bounded(FIRST_SHARED // 32, lines // 32, 32):
        if read32(DISTRIBUTOR + ISPENDR + u64(i) * 4) != 0:
            return False
    return True


def level() -> None:
    """The UART's interrupt comes as often as it is let through, and no more when its handler has masked it."""
    uart.uart.put(".\n")
    gic.enable(uart.INTID)
    start = taken[0]
    for _ in range(ROUNDS):
        write32(uart.INTERRUPT_MASK, SEND)
        interrupt_window()
        interrupt_window()
    expect("interrupts taken, of the UART's:", uart.INTID, taken[0] - start, ROUNDS)


def maintain(me: Attempts, random: Random) -> None:
    for i in range(512):
        kept.words[i] = ~u64(i) * 0x1_0001
    for _ in range(ROUNDS):
        for i in range(24):
            me.run(OPERATIONS[i], operand(random), 0)
    for i in range(512):
        expect("memory after maintenance", address_of(kept) + u64(i) * 8, kept.words[i], ~u64(i) * 0x1_0001)
    for _ in range(ROUNDS):
        address = random.word() >> 24 + random.below(40)
        me.run(TRANSLATE, address, 0)
        expect("translation of", address, PAR_EL1.read() & (FRAME | FAILED), address & FRAME)


def operand(random: Random) -> u64:
    """An address in memory, a set and way of some level, or anything."""
    if random.chance(2):
        return address_of(kept) + random.below(4096)
    return random.word() >> random.below(64)


def send_wildly(random: Random) -> None:
    """Writes to the registers that send interrupts, of any kind."""
    value = random.word()
    if not has_registers():
        write32(DISTRIBUTOR + gicv2.SGIR, truncate(u32, value))
        return
    if random.chance(2):
        value &= 0x10F_0F00_0003
    match random.below(4):
        case 0:
            gicv3.ICC_SGI1R_EL1.write(value | 1 << 40)
        case 1:
            ICC_SGI0R_EL1.write(value)
        case 2:
            ICC_ASGI1R_EL1.write(value)
        case _:
            gicv3.ICC_SGI1R_EL1.write(value)
