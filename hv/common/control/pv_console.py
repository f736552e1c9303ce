"""The console of a paravirtualised guest: a ring for each direction in a page that it shares, and a port by which both
sides say that they have put something in or taken something out (public/io/console.h).

The hypervisor is the other side as long as no domain binds the port. What the guest prints comes out as that of any
other guest, in steps; what is typed goes into the ring from the guest's first signal on, and waits where it has no
room. The guest writes what it likes into the page: each index is read once, and while there is one that cannot be,
nothing comes out.

`PvConsole.lock` protects the rings from this side. It is held while text comes out.
"""

from hv.arch import GUEST_CONSOLE, copy_bytes, direct_address
from hv.common.comm.event_ports import EventChannels, Listener
from hv.common.comm.evtchn import alloc_unbound, answer_listened
from hv.common.comm.shared_info import map_own
from hv.common.control.console_io import DomainConsole, TypedReader
from hv.common.control.hvm_params import CONSOLE_EVTCHN, CONSOLE_PFN, HvmParams
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.work import Progress, Task, Work
from hv.common.mm.ownership import allocate_for, put_frame
from hv.common.mm.types import DomId, Mfn, paddr_of
from hv.common.model.domain import Domain
from hv.lang import (
    Atomic,
    Embedded,
    Errno,
    Extension,
    Final,
    abi,
    address_of,
    array,
    bounded,
    ptr,
    raises,
    u8,
    u32,
    u64,
)

INPUT: Final[u32] = 1024  # bytes of each ring
OUTPUT: Final[u32] = 2048
PART: Final = 256  # bytes that come out at once
BACKEND: Final = DomId(0)  # the domain that may take the other side over


@abi("xen/io/console.h", "struct xencons_interface")
class Rings:
    in_: array[u8, INPUT]
    out: array[u8, OUTPUT]
    in_cons: u32
    in_prod: u32
    out_cons: u32
    out_prod: u32


class Index:
    """It counts bytes, modulo 2**32."""

    value: Atomic[u32]


class Text:
    bytes: array[u8, PART]


class PvConsole(Extension[Domain], Listener, TypedReader, Task):
    lock: SpinLock[Rank.CONSOLE_RING]
    domain: Domain
    mfn: Mfn
    exists: bool
    heard: bool  # the guest has signalled
    busy: bool  # more comes out in steps
    work: Embedded[Work]

    @raises
    def init(self, owner: Domain) -> None:
        """A domain with an emulated UART has none. ENOMEM, and what a port takes."""
        self.domain = owner
        if owner.config.uart:
            return
        self.mfn = allocate_for(owner.id, 0)
        try:
            map_own(owner, self.mfn, GUEST_CONSOLE)
            port = alloc_unbound(owner, BACKEND)
        except Errno:
            put_frame(self.mfn)
            raise
        self.exists = True
        EventChannels.of(owner).listen(port, self)
        HvmParams.of(owner).set(CONSOLE_PFN, u64(GUEST_CONSOLE))
        HvmParams.of(owner).set(CONSOLE_EVTCHN, u64(port))
        DomainConsole.of(owner).reader = self

    def teardown_step(self, owner: Domain) -> bool:
        """What the guest printed before it ended comes out."""
        with self.lock:
            return not self.busy

    def teardown(self, owner: Domain) -> None:
        with self.lock:
            existed = self.exists
            self.exists = False
        if existed:
            put_frame(self.mfn)

    @property
    def rings(self) -> Rings:
        return ptr[Rings](direct_address(paddr_of(self.mfn))).ref()

    def signalled(self, domain: Domain) -> None:
        with self.lock as held:
            self.heard = True
            before = self._print(held)
            if before > PART and not self.busy:
                self.busy = True
                self.work.init(self)
                self.work.start()
        if self._type() or before == OUTPUT:
            answer_listened(domain)

    def step(self) -> Progress:
        """The domain stays while this is busy, and it is as long as the ring may have been full."""
        with self.lock as held:
            before = self._print(held)
            self.busy = before > PART
            more = self.busy
        if before == OUTPUT:
            answer_listened(self.domain)
        return Progress.MORE if more else Progress.DONE

    def typed(self) -> None:
        if self.heard and self._type():
            answer_listened(self.domain)

    def _print(self, held: Held[Rank.CONSOLE_RING]) -> u32:
        """Some of what is in the ring. Returns how many bytes there were: while it is full the guest may wait for
        room.
        """
        text = Text()
        rings = self.rings
        start = read_index(address_of(rings.out_cons))
        waiting = read_index(address_of(rings.out_prod)) - start
        if waiting > OUTPUT:
            return 0
        count = min(waiting, PART)
        copy_out(address_of(text), address_of(rings.out), OUTPUT, start, count)
        write_index(address_of(rings.out_cons), start + count)
        for i in bounded(count, PART):
            DomainConsole.of(self.domain).console.write(text.bytes[i])
        return waiting

    def _type(self) -> bool:
        """Puts as much of what was typed into the ring as there is room for. True: it was something."""
        with self.lock:
            if not self.exists:
                return False
            rings = self.rings
            end = read_index(address_of(rings.in_prod))
            used = end - read_index(address_of(rings.in_cons))
            if used >= INPUT:
                return False
            text = Text()
            count = DomainConsole.of(self.domain).take_many(address_of(text), min(INPUT - used, PART))
            copy_in(address_of(rings.in_), INPUT, end, address_of(text), count)
            write_index(address_of(rings.in_prod), end + count)
            return count != 0


def read_index(address: u64) -> u32:
    return ptr[Index](address).ref().value.load_acquire()


def write_index(address: u64, value: u32) -> None:
    """Behind what was put in or taken out."""
    ptr[Index](address).ref().value.store_release(value)


def copy_out(to: u64, ring: u64, size: u32, start: u32, count: u32) -> None:
    """Out of a ring of `size` bytes, a power of two."""
    at = start % size
    first = min(count, size - at)
    if first != 0:
        copy_bytes(to, ring + u64(at), u64(first))
    if first < count:
        copy_bytes(to + u64(first), ring, u64(count - first))


def copy_in(ring: u64, size: u32, start: u32, source: u64, count: u32) -> None:
    at = start % size
    first = min(count, size - at)
    if first != 0:
        copy_bytes(ring + u64(at), source, u64(first))
    if first < count:
        copy_bytes(ring, source + u64(first), u64(count - first))
