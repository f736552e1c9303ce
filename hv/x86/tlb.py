"""Translations are forgotten on all CPUs by asking each: there is no instruction that does it.

Whoever changes translations describes them in its `Shootdown`, sets its bit in each other CPU's `Asked`, interrupts it,
and waits: one round, however many they are. A CPU answers in the interrupt, and whenever it waits for something itself
(`serve`, by `relax`), so that two which ask at the same time, or one that waits for a lock of the other's, do not wait
for each other for ever.

A CPU that takes part has `Asked.active` set, and then forgets all that it knew: what it was not asked about before.

Of guests, a TLB keeps translations from guest-virtual addresses to the machine's under a number that tells vCPUs
apart, and none can be found by its guest-physical address: a change of a guest's physical map makes all of them stale.
So each map has an epoch, which a change raises. Before a vCPU is entered it is seen to that its number has no
translations of an older one; and the CPUs that have one of the guest's vCPUs loaded are asked, so that they come out
and look.
"""

from hv.common.mm.types import PAGE_SHIFT, Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Final, PerCpu, array, bounded, trailing_zeros, u16, u32, u64, unbounded
from hv.x86.cpu import ThisCpu, forget_all, forget_page, relax
from hv.x86.ipi import send_ipi

WORDS: Final = (CONFIG_NR_CPUS + 63) // 64
SIGN: Final[u64] = 0xFFFF_0000_0000_0000
HIGHEST: Final[u64] = 1 << 47
TAGS: Final = 64  # guests' tags are below
FEW: Final[u64] = 32  # leaves that are forgotten one by one; with more, all that a CPU knows


class Shootdown(PerCpu):
    """What this CPU asks of others: written before their bits are set, unchanged until `left` is zero."""

    address: u64  # of the first leaf
    leaves: u64  # in a row; 0: the other CPU has only to come out of its guest
    order: u32  # of each
    left: Atomic[u32]

    def forget(self) -> None:
        """On the CPU that calls."""
        if self.leaves > FEW:
            forget_all()
            return
        for i in bounded(self.leaves, FEW):
            forget_page(self.address + (i << self.order + PAGE_SHIFT))


class Guests:
    """By the guest's tag."""

    epochs: array[Atomic[u64], TAGS]


class LoadedGuest(PerCpu):
    tag: Atomic[u32]  # of the guest whose vCPU this CPU has loaded; 0: none


guests: Final = Guests()


class Asked(PerCpu):
    """Who waits for this CPU."""

    active: Atomic[u32]
    bits: array[Atomic[u64], WORDS]


def take_part() -> None:
    """This CPU is asked from now on."""
    Asked.this().active.store(1)
    forget_all()


def canonical(address: u64) -> u64:
    """With bits 63 to 48 as bit 47 is."""
    return address | SIGN if address & HIGHEST != 0 else address & ~SIGN


def flush_hypervisor(address: u64, leaves: u64, order: u32) -> None:
    me = ThisCpu.this().id
    own = Shootdown.this()
    own.address = canonical(address)
    own.leaves = leaves
    own.order = order
    own.left.store(0)
    for cpu in range(CONFIG_NR_CPUS):
        if u32(cpu) != me and Asked.on(cpu).active.load() != 0:
            _ask(own, u32(cpu))
    own.forget()
    _wait(own)


def _ask(own: Shootdown, cpu: u32) -> None:
    me = ThisCpu.this().id
    own.left.add(1)
    Asked.on(cpu).bits[me // 64].or_(u64(1) << me % 64)
    send_ipi(cpu)


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
        asker.forget()
        asker.left.sub(1)
        left &= left - 1


def flush_guest(root: Paddr, tag: u16) -> None:
    """No CPU enters a vCPU of the guest with a translation of before, and none is in one any more."""
    assert tag < TAGS, "a guest's tag is too large"
    guests.epochs[tag].add(1)
    own = Shootdown.this()
    own.leaves = 0
    own.left.store(0)
    for cpu in range(CONFIG_NR_CPUS):
        if u32(cpu) != ThisCpu.this().id and LoadedGuest.on(cpu).tag.load() == u32(tag):
            _ask(own, u32(cpu))
    _wait(own)


def guest_loaded(tag: u16) -> None:
    """A vCPU of the guest is loaded here from now on; 0: none is. Whoever changes its map sees that, or the epoch that
    is read behind it is the new one.
    """
    LoadedGuest.this().tag.store(u32(tag))


def epoch_of(tag: u16) -> u64:
    return guests.epochs[tag].load_relaxed()
