"""The list registers of the vCPU that this CPU has in its registers: folding them back into the banks, and filling
them anew.

Filled are first the pending interrupts, then the active ones, each by priority, then by number. So whatever the guest
may take next is listed, and an interrupt that finds no place is either pending behind others, or active below others:

- pending ones wait: the interface raises a maintenance interrupt as soon as no list register is pending (NPIE), which
  is earliest when one of them can be next;
- active ones can be ended although they are not listed: the interface counts that (EOIcount, LRENPIE), and since a
  guest ends its interrupts from the highest priority down, the count says which they were; where ending and
  deactivating are apart, writes to ICC_DIR_EL1 trap.

A level-sensitive interrupt whose input is still asserted when the guest ends it is pending again: its list register
asks for a maintenance interrupt then, unless a physical interrupt is linked to it, which comes again by itself. So
does that of an active interrupt whose route has been changed: what is pending of it is another vCPU's from its end on.
A list register that asks for this cannot deactivate the physical interrupt, which is then done when it is folded.

In a GICv2 an SGI that several vCPUs have sent is taken once for each of them. Its list register names one, so it is
never pending and active at once, and asks for a maintenance interrupt at its end when another has sent it, too.

Source: Arm IHI 0069, 4.8, 12.4; Arm IHI 0048B, 5.2, 5.3.
"""

from hv.arm64 import vtimer
from hv.arm64.spi_lines import withdraw
from hv.arm64.vgic_interface import (
    MAX_LISTS,
    Interface,
    InterfaceControl,
    ListFormat,
    ListRegister,
    ListState,
)
from hv.arm64.vgic_state import (
    ALL,
    BANK,
    FIRST_SHARED,
    GROUP0,
    GROUP1,
    IDLE,
    MOST_BANKS,
    SGI_COUNT,
    Bank,
    Notices,
    Vgic,
    VgicCpu,
    bank_of,
)
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Const,
    Final,
    Generic,
    PerCpu,
    TypeVar,
    apart,
    array,
    bounded,
    rarely,
    trailing_zeros,
    truncate,
    u8,
    u16,
    u32,
    u64,
    unbounded,
)

NOT_PENDING: Final[u32] = 1 << 31  # in the key of a choice: behind all that are pending
PRIORITY_SHIFT: Final = 16
NUMBER: Final[u32] = 0xFFFF

F = TypeVar("F", bound=ListFormat)


class Choices(PerCpu):
    """The first MAX_LISTS interrupts, or as many as there are list registers, in the order of their keys. Each CPU has
    one, so that the keys need not be cleared in each filling, which is what it holds for.
    """

    keys: array[u32, MAX_LISTS]
    count: u32
    limit: u32
    pending_left: bool
    active_left: bool

    def begin(self, limit: u32) -> None:
        self.count = 0
        self.limit = limit
        self.pending_left = False
        self.active_left = False

    def offer(self, key: u32) -> None:
        if self.count == self.limit:
            last = self.keys[self.count - 1]
            if key > last:
                self._leave(key)
                return
            self._leave(last)
            self.count -= 1
        at = self.count
        for _ in range(MAX_LISTS):
            if at == 0 or self.keys[at - 1] < key:
                break
            self.keys[at] = self.keys[at - 1]
            at -= 1
        self.keys[at] = key
        self.count += 1

    def _leave(self, key: u32) -> None:
        if key & NOT_PENDING != 0:
            self.active_left = True
        else:
            self.pending_left = True


class ListRegisters(Generic[F]):
    """Those of this CPU."""

    format: Const[F]

    def start_cpu(self, count: u32) -> None:
        """There are so many, up to MAX_LISTS of which are used. The interface is turned off."""
        Interface.this().lists = count
        self.format.write_control(InterfaceControl(0))
        for n in bounded(count, MAX_LISTS):
            self.format.write_list(n, ListRegister(0))

    def pause(self) -> None:
        control = self.format.read_control()
        control.enable = False
        self.format.write_control(control)

    @unbounded("each step takes one list register that is in use")
    def fold(self, held: Held[Rank.VGIC], vgic: Vgic, cpu: VgicCpu, me: u16, notices: Notices) -> None:
        ends = self.format.read_control().unlisted_ends
        self.format.write_control(InterfaceControl(0))
        for _ in bounded(ends, 31):
            _end_unlisted(vgic, cpu, me, notices)
        used = cpu.used
        cpu.used = 0
        while used != 0:
            n = trailing_zeros(used)
            used &= used - 1
            self._fold_one(vgic, cpu, me, self.format.read_list(n), notices)

    def _fold_one(self, vgic: Vgic, cpu: VgicCpu, me: u16, list: ListRegister, notices: Notices) -> None:
        intid = u32(list.virtual_id)
        bank = bank_of(vgic, cpu, intid)
        i = intid % BANK
        bit = u32(1) << i
        state = list.state
        bank.listed &= ~bit
        if state == ListState.PENDING or state == ListState.BOTH:
            bank.latched |= bank.moved & bit
            if self.format.names_senders() and intid < SGI_COUNT:
                cpu.senders[intid] |= u8(1) << u8(list.sender)
        bank.moved &= ~bit
        if state == ListState.ACTIVE or state == ListState.BOTH:
            bank.active |= bit
            if self.format.names_senders() and intid < SGI_COUNT:
                cpu.active_sender[intid] = u8(list.sender)
            return
        if state == ListState.INVALID:
            if list.hardware:
                # The interface has deactivated the physical interrupt as well, and it may have come anew.
                bank.forwarded = bank.forwarded & ~bit | bank.again & bit
                bank.again &= ~bit
            else:
                _end_linked(bank, bit)
        bank.linked &= ~bit
        _deactivated(bank, i, me, notices)

    def refresh(self, held: Held[Rank.VGIC], vgic: Vgic, vcpu: Vcpu, notices: Notices) -> None:
        cpu = VgicCpu.of(vcpu)
        me = truncate(u16, vcpu.id)
        self.fold(held, vgic, cpu, me, notices)
        vtimer.resample(held, vcpu)
        self._fill(vgic, cpu, me)

    @unbounded("each step clears one list register")
    def _fill(self, vgic: Vgic, cpu: VgicCpu, me: u16) -> None:
        interface = Interface.this()
        choices = Choices.this()
        choices.begin(interface.lists)
        _choose(cpu.private, 0, me, vgic.groups, choices)
        for i in bounded(vgic.banks, MOST_BANKS):
            _choose(vgic.shared[i], FIRST_SHARED + i * BANK, me, vgic.groups, choices)
        best = IDLE
        count = choices.count
        for n in bounded(count, MAX_LISTS):
            key = choices.keys[n]
            if n == 0 and key & NOT_PENDING == 0:
                best = key >> PRIORITY_SHIFT
            self.format.write_list(n, self._list(vgic, cpu, key & NUMBER, me))
        cpu.best = best
        cpu.used = (u32(1) << count) - 1
        stale = interface.filled & ~cpu.used
        interface.filled = cpu.used
        while stale != 0:
            self.format.write_list(trailing_zeros(stale), ListRegister(0))
            stale &= stale - 1
        self.format.write_control(
            InterfaceControl(
                enable=True,
                notify_none_pending=choices.pending_left,
                notify_unlisted_end=choices.active_left,
                trap_deactivation=choices.active_left,
            )
        )

    def _list(self, vgic: Vgic, cpu: VgicCpu, intid: u32, me: u16) -> ListRegister:
        """Moves an interrupt into a list register."""
        bank = bank_of(vgic, cpu, intid)
        i = intid % BANK
        bit = u32(1) << i
        level = bank.edge & bit == 0
        elsewhere = bank.target[i] != me
        active = bank.active & bit != 0
        if not active:
            bank.linked |= bank.forwarded & bit
        linked = bank.linked & bit != 0
        asks = active and (elsewhere or bank.latched & bit != 0 or bank.forwarded & ~bank.linked & bit != 0)
        list = ListRegister(
            virtual_id=u64(intid),
            priority=u64(bank.priority[i]),
            group1=bank.group1 & bit != 0,
            hardware=linked and not asks,
        )
        bank.listed |= bit
        bank.holder[i] = me
        if self.format.names_senders() and intid < SGI_COUNT:
            return _listed_sgi(cpu, intid, active, list)
        if list.hardware:
            list.physical_id = u64(bank.physical[i])
        elif level or elsewhere or asks:
            list.notify_end = True
        if not active:
            list.state = ListState.PENDING
        elif list.notify_end or list.hardware or deliverable(bank, vgic.groups) & bit == 0:
            list.state = ListState.ACTIVE
        else:
            list.state = ListState.BOTH
        if list.state != ListState.ACTIVE:
            bank.moved |= bank.latched & bit
            bank.latched &= ~bit
        return list


@rarely
def _end_linked(bank: Bank, bit: u32) -> None:
    """An interrupt has ended without a list register that would have ended the physical one as well. Whether a timer's
    may come again, `resample` decides."""
    if bank.linked & bit != 0:
        bank.linked &= ~bit
        withdraw(bank, bank.assigned & bit)


def _deactivated(bank: Bank, i: u32, me: u16, notices: Notices) -> None:
    """From now on the interrupt belongs to its target, which may be another vCPU than the one that had it."""
    bit = u32(1) << i
    bank.active &= ~bit
    if bank.target[i] != me and bank.pending & bit != 0:
        notices.add(bank.target[i])


@rarely
def _end_unlisted(vgic: Vgic, cpu: VgicCpu, me: u16, notices: Notices) -> None:
    """The guest has ended an interrupt that was in no list register: the active one of the highest priority."""
    best = ALL
    best = _highest_active(cpu.private, 0, me, best)
    for i in bounded(vgic.banks, MOST_BANKS):
        best = _highest_active(vgic.shared[i], FIRST_SHARED + i * BANK, me, best)
    if best != ALL:
        deactivate(vgic, cpu, me, best & NUMBER, notices)


@unbounded("each step takes one bit of a word")
def _highest_active(bank: Bank, first: u32, me: u16, best: u32) -> u32:
    left = bank.active & ~bank.listed
    found = best
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        if bank.holder[i] == me:
            found = min(found, u32(bank.priority[i]) << PRIORITY_SHIFT | first + i)
    return found


def deactivate(vgic: Vgic, cpu: VgicCpu, me: u16, intid: u32, notices: Notices) -> None:
    """Ends an active interrupt that is in no list register. Anything else a guest may name is ignored."""
    if intid >= vgic.limit:
        return
    bank = bank_of(vgic, cpu, intid)
    i = intid % BANK
    bit = u32(1) << i
    if bank.active & ~bank.listed & bit != 0 and bank.holder[i] == me:
        _end_linked(bank, bit)
        _deactivated(bank, i, me, notices)


def _choose(bank: Bank, first: u32, me: u16, groups: u32, choices: Choices) -> None:
    if not bank.quiet:
        _choose_among(bank, first, me, groups, choices)


@apart
@unbounded("each step takes one bit of a word")
def _choose_among(bank: Bank, first: u32, me: u16, groups: u32, choices: Choices) -> None:
    left = (deliverable(bank, groups) | bank.active) & ~bank.listed
    while left != 0:
        i = trailing_zeros(left)
        left &= left - 1
        key = u32(bank.priority[i]) << PRIORITY_SHIFT | first + i
        if bank.active >> i & 1 != 0:
            if bank.holder[i] == me:
                choices.offer(key | NOT_PENDING)
        elif bank.target[i] == me:
            choices.offer(key)


def deliverable(bank: Bank, groups: u32) -> u32:
    """Interrupts of a bank that are pending, enabled, and of a group that the distributor forwards."""
    forwarded: u32 = 0
    if groups & GROUP1 != 0:
        forwarded |= bank.group1
    if groups & GROUP0 != 0:
        forwarded |= ~bank.group1
    return bank.pending & bank.enabled & forwarded


def _listed_sgi(cpu: VgicCpu, intid: u32, active: bool, list: ListRegister) -> ListRegister:
    """One that is told apart by its sender."""
    bit = u32(1) << intid
    own = list
    if active:
        own.state = ListState.ACTIVE
        own.sender = u64(cpu.active_sender[intid])
    else:
        senders = u32(cpu.senders[intid])
        assert senders != 0, "an SGI is pending that nobody has sent"
        own.state = ListState.PENDING
        own.sender = u64(trailing_zeros(senders))
        cpu.senders[intid] = u8(senders & senders - 1)
        cpu.private.moved |= bit
        if senders & senders - 1 == 0:
            cpu.private.latched &= ~bit
    own.notify_end = cpu.private.latched & bit != 0
    return own
