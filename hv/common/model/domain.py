"""Domains: what runs as one guest, and the table of all of them.

The life of a domain: BUILDING (its vCPUs are down) → RUNNING → SHUT_DOWN (its vCPUs stop, a reason says why) → DYING
(what it has is taken apart in steps) → DEAD (nothing is left but the object, which goes when the last reference
does). A domain that cannot be built goes from BUILDING to DYING.

Subsystems hang their state on a domain as `Extension[Domain]`, and read what they need to know of it from `config`.
Who finds a domain in the table gets a reference, which keeps the object, not the domain: its state says what is still
there. The table itself is read without a lock: its own reference goes when nobody can still be looking at the domain
that has left it (hv/common/kernel/reclaim.py).

`Domain.lock` protects `state`, `reason` and `pauses`. `DomainTable.lock` protects changes of the table.
"""

from hv.common.kernel.rank import Rank
from hv.common.kernel.reclaim import Reclaimable, Retired, reclaimer
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.trace import trace1, trace_shutdown
from hv.common.kernel.trace_events import Event
from hv.common.mm.colors import ColorSet
from hv.common.mm.pool import Pool
from hv.common.mm.set_aside import SetAside
from hv.common.mm.types import DomId
from hv.lang import (
    Atomic,
    Embedded,
    Errno,
    Final,
    Iterator,
    U8Enum,
    U8Flag,
    array,
    extensible,
    init_extensions,
    raises,
    teardown_extensions,
    u8,
    u16,
    u32,
    u64,
    value,
)

MAX_DOMAINS: Final = 16


class DomainState(U8Enum):
    BUILDING = 0
    RUNNING = 1
    SHUT_DOWN = 2
    DYING = 3
    DEAD = 4


class ShutdownReason(U8Enum):
    """SHUTDOWN_* of public/sched.h."""

    POWER_OFF = 0
    REBOOT = 1
    SUSPEND = 2
    CRASH = 3
    WATCHDOG = 4


class Privilege(U8Flag):
    """What a domain may do to others; the bits of the binding's `capabilities`."""

    CONTROL = 1
    HARDWARE = 2
    XENSTORE = 4


@value
class DomainConfig:
    """What a domain is made with."""

    name: str  # outlives the domain
    frames: u64  # of memory
    vcpus: u32
    uart: bool  # whether it has an emulated UART
    spis: u32  # shared interrupts that it asks for; it may have more
    map_tables: u32  # frames for the tables of what is mapped for it beside memory
    set_aside: SetAside | None  # what its memory is; outlives the domain. None: it comes from the heap
    colors: ColorSet | None  # of its memory; outlives the domain. None: any
    privileges: Privilege


@extensible
class Domain(Reclaimable):
    id: DomId
    slot: u32  # in the table
    config: DomainConfig
    lock: SpinLock[Rank.DOMAIN]
    state: DomainState
    reason: ShutdownReason  # since SHUT_DOWN
    pauses: u32
    references: Atomic[u32]
    retired: Embedded[Retired]

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def vmid(self) -> u16:
        """Tells its translations from others' in the TLBs. Not 0, which is no guest's."""
        return u16(self.slot) + 1

    @property
    def reference_count(self) -> u32:
        return self.references.load_relaxed()

    def get(self) -> None:
        """Another reference, for who has one."""
        self.references.add(1)

    def put(self) -> None:
        before = self.references.sub(1)
        assert before != 0, "reference to a domain dropped that nobody held"
        if before == 1:
            assert self.state == DomainState.DEAD, "the last reference to a domain that lives is dropped"
            pool.free(self)

    def reclaim(self) -> None:
        """The table's reference goes."""
        self.put()

    def set_state(self, held: Held[Rank.DOMAIN], state: DomainState) -> None:
        """One step on the way from BUILDING to DEAD."""
        assert u8(state) > u8(self.state), "a domain goes back in its life"
        self.state = state

    def shut_down(self, reason: ShutdownReason) -> bool:
        """RUNNING → SHUT_DOWN. False: it does not run (any more)."""
        with self.lock as held:
            if self.state != DomainState.RUNNING:
                return False
            self.reason = reason
            self.set_state(held, DomainState.SHUT_DOWN)
        trace_shutdown(u32(u16(self.id)), u32(u8(reason)))
        return True

    def advance(self, state: DomainState) -> None:
        """`set_state`, for who does not hold the lock."""
        with self.lock as held:
            self.set_state(held, state)


class DomainTable:
    lock: SpinLock[Rank.DOMAIN_LIST]
    slots: array[Atomic[Domain | None], MAX_DOMAINS]

    @raises
    def create(self, id: DomId, config: DomainConfig) -> Domain:
        """A domain that is being built, in the table; the table has a reference, and the caller goes by that one
        until he calls `remove`.

        EEXIST: the id is taken. ENOSPC: the table is full. ENOMEM, and what the extensions raise.
        """
        domain = pool.allocate()
        domain.id = id
        domain.config = config
        domain.references.store(1)
        try:
            self._insert(domain)
        except Errno:
            pool.free(domain)
            raise
        try:
            init_extensions(domain)
        except Errno:
            self._leave(domain)
            raise
        trace1(Event.DOM0_DOM_ADD, u32(u16(id)))
        return domain

    def remove(self, domain: Domain) -> None:
        """The end of a DYING domain, whose memory and vCPUs are gone: nobody finds it any more."""
        trace1(Event.DOM0_DOM_REM, u32(u16(domain.id)))
        teardown_extensions(domain)
        self._leave(domain)

    def get(self, id: DomId) -> Domain | None:
        """The domain of this number, with a reference that the caller drops with `put`. None: no such domain."""
        for domain in self:
            if domain.id == id:
                domain.get()
                return domain
        return None

    def at(self, slot: u32) -> Domain | None:
        """The domain in this place of the table, with a reference that the caller drops with `put`; None: nothing."""
        domain = self.slots[slot].load_acquire()
        if domain is not None:
            domain.get()
        return domain

    def __iter__(self) -> Iterator[Domain]:
        """All domains. Who keeps one beyond this way through the hypervisor takes a reference."""
        for i in range(MAX_DOMAINS):
            domain = self.slots[i].load_acquire()
            if domain is not None:
                yield domain

    @raises
    def _insert(self, domain: Domain) -> None:
        with self.lock:
            free: u32 = MAX_DOMAINS
            for i in range(MAX_DOMAINS):
                other = self.slots[i].load_relaxed()
                if other is None:
                    free = min(free, i)
                elif other.id == domain.id:
                    raise Errno.EEXIST
            if free == MAX_DOMAINS:
                raise Errno.ENOSPC
            domain.slot = free
            self.slots[free].store_release(domain)

    def _leave(self, domain: Domain) -> None:
        if domain.state != DomainState.DYING:
            domain.advance(DomainState.DYING)
        domain.advance(DomainState.DEAD)
        with self.lock:
            self.slots[domain.slot].store_release(None)
        reclaimer.retire(domain.retired, domain)


pool: Final = Pool[Domain]()
domains: Final = DomainTable()
