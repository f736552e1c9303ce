"""The state of the virtual interrupt controller: a GICv3 with one security state and affinity routing (Arm IHI 0069),
or a GICv2 without the Security Extensions (Arm IHI 0048B).

Interrupts are kept in banks of 32: one bank of each vCPU for its own (SGI 0-15, PPI 16-31), and the domain's for the
shared ones (SPI). An interrupt is pending when it was latched (an edge, or a write to ISPENDR) or when it is
level-sensitive and its line is asserted.

An interrupt is in a list register of at most one vCPU: `listed`. Then the list register alone knows whether it is
pending or active, until it is folded back; what happens meanwhile is latched beside it. Only a vCPU whose state is in
a CPU's registers has list registers, and only that CPU touches them.

Behind some stands a physical interrupt: each vCPU's virtual timer, and what devices raise that the domain owns
(spis.py). It is `forwarded` from when it was taken until it is deactivated, which the list register's end does by
itself. Until the guest has taken it, it counts as pending; from then on it is `linked` to what is active.

`Vgic.lock` protects all banks of a domain and of its vCPUs. Whoever makes an interrupt deliverable names the vCPU in
`Notices`, and delivers them when the lock is released.
"""

from hv.arch import cpu_id, send_ipi
from hv.arm64.guest_map import NO_VCPU, is_gicv2, places_of, vcpu_at
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.time import Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.lib.bitmap import Bitmap
from hv.common.model.domain import Domain
from hv.common.model.vcpu import MAX_VCPUS, Vcpu, Vcpus
from hv.common.sched.core import wake
from hv.lang import Atomic, Embedded, Extension, Final, apart, array, bounded, trailing_zeros, u8, u16, u32, u64

BANK: Final = 32
VCPU_WORDS: Final = MAX_VCPUS // 64
FIRST_SHARED: Final[u32] = 32
LEAST_BANKS: Final[u32] = 2  # of shared interrupts, whatever a domain asks for
MOST_BANKS: Final = 31  # the last has four numbers that name no interrupt
END: Final[u32] = 1020  # of INTIDs: from here on they are special (Arm IHI 0069, 2.2)

ALL: Final[u32] = 0xFFFF_FFFF
SGIS: Final[u32] = 0xFFFF
SGI_COUNT: Final = 16
PRIORITY_BITS: Final[u8] = 0xF8  # of a priority, those that exist

ROUTE_ANY: Final[u64] = 1 << 31
FIRST_VCPU: Final[u64] = 1  # of GICD_ITARGETSR

GROUP0: Final[u32] = 1  # in `Vgic.groups`, as in GICD_CTLR
GROUP1: Final[u32] = 2

IDLE: Final[u32] = 0x100  # lower than any priority


class Bank:
    """32 interrupts with consecutive numbers; in each word a bit for each."""

    enabled: u32
    present: u32  # the others name no interrupt, and nothing makes them pending or active
    group1: u32
    edge: u32  # edge-triggered; the others are level-sensitive
    latched: u32
    line: u32  # asserted inputs
    forwarded: u32  # the physical interrupt behind it is active
    linked: u32  # … and so is the virtual one for it: who ends that one ends both
    again: u32  # … and has come anew: the guest has ended both, which its list register has not told yet
    assigned: u32  # a device's interrupt stands behind it
    active: u32
    listed: u32
    moved: u32  # the latch went into the list register
    priority: array[u8, BANK]
    target: array[u16, BANK]  # the vCPU that a pending one is for; NO_VCPU: none
    holder: array[u16, BANK]  # the vCPU that has it listed or active
    physical: array[u16, BANK]  # the physical interrupt behind it; 0: none

    @property
    def pending(self) -> u32:
        """As far as no list register holds it."""
        return self.latched | self.line & ~self.edge | self.forwarded & ~self.linked

    @property
    def quiet(self) -> bool:
        """None of them is pending or active, but for those in list registers."""
        return self.latched | self.line | self.forwarded | self.active == 0

    def init(self, target: u16) -> None:
        """As after a reset: all are disabled, and of group 1, or in a GICv2 of group 0."""
        self.present = ALL
        self.group1 = 0 if is_gicv2() else ALL
        for i in range(BANK):
            self.target[i] = target
            self.holder[i] = target


class Vgic(Extension[Domain]):
    lock: SpinLock[Rank.VGIC]
    groups: u32  # GICD_CTLR: which groups the distributor forwards
    banks: u32  # of shared interrupts that the domain has
    owns_devices: bool  # some of them are assigned
    shared: array[Bank, MOST_BANKS]
    routes: array[u64, MOST_BANKS * BANK]  # GICD_IROUTER, as written; in a GICv2 GICD_ITARGETSR
    late: "Embedded[LateNotices]"

    @property
    def limit(self) -> u32:
        """One more than the greatest INTID."""
        return min(FIRST_SHARED + self.banks * BANK, END)

    def init(self, owner: Domain) -> None:
        spis = owner.config.spis
        if owner.config.uart:
            spis = max(spis, places_of(owner.config).uart_interrupt + 1 - FIRST_SHARED)
        self.banks = min(max((spis + BANK - 1) // BANK, LEAST_BANKS), MOST_BANKS)
        for i in bounded(self.banks, MOST_BANKS):
            self.shared[i].init(0)
        if self.banks == MOST_BANKS:
            self.shared[MOST_BANKS - 1].present = ALL >> BANK - END % BANK
        if is_gicv2():
            for i in range(MOST_BANKS * BANK):
                self.routes[i] = FIRST_VCPU
        self.late.init(owner)

    def teardown(self, owner: Domain) -> None:
        self.late.timer.kill()


class VgicCpu(Extension[Vcpu]):
    """One vCPU's share: its own interrupts, and its CPU interface while that is not in the hardware."""

    private: Embedded[Bank]
    dirty: Atomic[u32]  # the list registers may not show what is deliverable
    loaded: Atomic[u32]  # one more than the CPU that has this in its registers; 0: none
    followed: u32  # one more than the CPU that its devices' interrupts come to; 0: they were never routed
    used: u32  # list registers that hold something, a bit for each
    best: u32  # the highest priority (lowest number) that is listed as pending; IDLE: none is
    vmcr: u64
    active_priorities: array[u64, 8]  # ICH_AP0R<n>_EL2, ICH_AP1R<n>_EL2; in a GICv2 the first is GICH_APR
    senders: array[u8, SGI_COUNT]  # in a GICv2: vCPUs that have sent an SGI, a bit for each; latched while there is one
    active_sender: array[u8, SGI_COUNT]  # whose is active

    def init(self, owner: Vcpu) -> None:
        self.private.init(u16(owner.id))
        self.private.edge = SGIS
        self.best = IDLE

    def reset_interface(self) -> None:
        """As a CPU that is switched on has it. The vCPU is not loaded."""
        self.vmcr = 0
        for i in range(8):
            self.active_priorities[i] = 0


class Notices:
    """vCPUs that have to look at their interrupts again. On the stack of who changes them; `deliver` comes when no
    vGIC lock is held.
    """

    vcpus: Bitmap[VCPU_WORDS]
    some: bool

    def add(self, vcpu: u16) -> None:
        if vcpu < MAX_VCPUS:
            self.vcpus.set(u32(vcpu))
            self.some = True

    def add_all(self, domain: Domain) -> None:
        self.vcpus.set_range(0, Vcpus.of(domain).count)
        self.some = True

    def deliver(self, domain: Domain) -> None:
        if self.some:
            self._deliver(domain)

    @apart
    def _deliver(self, domain: Domain) -> None:
        for id in self.vcpus:
            vcpu = Vcpus.of(domain).find(id)
            if vcpu is not None:
                notify(vcpu)


class LateNotices(TimerOwner):
    """Notices of who holds the scheduler's lock, delivered a moment later. `Vgic.lock` protects them."""

    domain: Domain
    vcpus: Bitmap[VCPU_WORDS]
    timer: Embedded[Timer]

    def init(self, domain: Domain) -> None:
        self.domain = domain
        self.timer.init(self)

    def add(self, held: Held[Rank.VGIC], notices: Notices) -> None:
        if notices.some:
            self.vcpus.add_all(notices.vcpus)
            self.timer.set(Ns(0))

    def expired(self, now: Ns) -> None:
        notices = Notices()
        with Vgic.of(self.domain).lock:
            notices.vcpus.copy_from(self.vcpus)
            notices.some = True
            self.vcpus.clear_all()
        notices.deliver(self.domain)


def notify(vcpu: Vcpu) -> None:
    """Lets a vCPU see what has become pending: it leaves the guest, or wakes up. No lock of the scheduler's rank or
    above is held.

    The state was changed under the lock before. A vCPU that is about to block looks at its interrupts again after it
    has said so (`has_interrupt`), under the same lock: either it sees the change there, or `blocked` is seen here.
    """
    cpu = VgicCpu.of(vcpu)
    cpu.dirty.store(1)
    where = cpu.loaded.load()
    if where != 0 and where - 1 != cpu_id():
        send_ipi(where - 1)
    if vcpu.blocked:
        wake(vcpu)


def notify_named(domain: Domain, id: u16) -> None:
    """`notify` for one vCPU by its number. NO_VCPU: nobody."""
    if id < MAX_VCPUS:
        vcpu = Vcpus.of(domain).find(u32(id))
        if vcpu is not None:
            notify(vcpu)


def bank_of(vgic: Vgic, cpu: VgicCpu, intid: u32) -> Bank:
    """The bank of an interrupt below `Vgic.limit`, as this vCPU sees it."""
    if intid < FIRST_SHARED:
        return cpu.private
    return vgic.shared[intid // BANK - 1]


def target_of(domain: Domain, route: u64) -> u16:
    """The vCPU that a value of GICD_IROUTER names. One of several (bit 31) is not offered: it means the first."""
    if route & ROUTE_ANY != 0:
        return 0
    vcpu = vcpu_at(route)
    return u16(vcpu if vcpu < domain.config.vcpus else NO_VCPU)


def target_among(targets: u8) -> u16:
    """The vCPU that a byte of GICD_ITARGETSR names. Of several, the first is offered the interrupt."""
    return u16(trailing_zeros(u32(targets))) if targets != 0 else u16(NO_VCPU)
