"""Translations are forgotten on all CPUs by asking each: there is no instruction that does it.

Whoever changes a translation describes it in its `Shootdown`, sets its bit in each other CPU's `Asked`, interrupts it,
and waits. A CPU answers in the interrupt, and whenever it waits for something itself (`serve`, by `relax`), so that two
which ask at the same time, or one that waits for a lock of the other's, do not wait for each other for ever.

A CPU that takes part has `Asked.active` set; before that it has looked at no translation that may change.
"""

from hv.common.mm.types import Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Final, PerCpu, array, trailing_zeros, u16, u32, u64, unbounded
from hv.x86.cpu import ThisCpu, forget_page, relax
from hv.x86.ipi import send_ipi

WORDS: Final = (CONFIG_NR_CPUS + 63) // 64
SIGN: Final[u64] = 0xFFFF_0000_0000_0000
HIGHEST: Final[u64] = 1 << 47


class Shootdown(PerCpu):
    """What this CPU asks of others: written before their bits are set, unchanged until `left` is zero."""

    address: u64
    left: Atomic[u32]


class Asked(PerCpu):
    """Who waits for this CPU."""

    active: Atomic[u32]
    bits: array[Atomic[u64], WORDS]


def take_part() -> None:
    """This CPU is asked from now on."""
    Asked.this().active.store(1)


def canonical(address: u64) -> u64:
    """With bits 63 to 48 as bit 47 is."""
    return address | SIGN if address & HIGHEST != 0 else address & ~SIGN


def flush_hypervisor(address: u64) -> None:
    me = ThisCpu.this().id
    own = Shootdown.this()
    own.address = canonical(address)
    own.left.store(0)
    for cpu in range(CONFIG_NR_CPUS):
        if u32(cpu) != me and Asked.on(cpu).active.load() != 0:
            own.left.add(1)
            Asked.on(cpu).bits[me // 64].or_(u64(1) << me % 64)
            send_ipi(u32(cpu))
    forget_page(own.address)
    _wait(own)


@unbounded("every active CPU takes its interrupt, or serves while it waits")
def _wait(own: Shootdown) -> None:
    while own.left.load_acquire() != 0:
        serve()
        relax()


def serve() -> None:
    """Forgets what other CPUs wait for."""
    asked = Asked.this()
    for i in range(WORDS):
        if asked.bits[i].load_relaxed() != 0:
            _answer(i * 64, asked.bits[i].exchange(0))


@unbounded("each step clears a bit")
def _answer(first: u32, askers: u64) -> None:
    left = askers
    while left != 0:
        asker = Shootdown.on(first + trailing_zeros(left))
        forget_page(asker.address)
        asker.left.sub(1)
        left &= left - 1


def flush_guest(root: Paddr, tag: u16) -> None:
    """No guest has run on this CPU."""
