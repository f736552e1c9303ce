"""What an SMMU tells: faults of devices, each in a line that names the domain, and errors of its own (Arm IHI 0070,
7.3, 7.5).

An interrupt masks itself and starts a task, which reads a few events, comes again a millisecond later, and lets the
interrupt through when there is nothing more: so however fast a device makes faults, they cost a CPU no more than that.
What it makes meanwhile is lost, which is told as well. Of one page, faults that are alike are told once in a second;
lines are limited for each domain, too. Of streams that no domain has, one fault a second is told.

All of it runs on the CPU that takes the interrupts.
"""

from hv.arch import now, read_device32, write_device32
from hv.arm64.controller import gic
from hv.arm64.interrupts import interrupt_of, interrupts
from hv.arm64.smmuv3_domain import DomainStreams
from hv.arm64.smmuv3_layout import GERROR, GERRORN, Gerror
from hv.arm64.smmuv3_queue import Event
from hv.arm64.smmuv3_units import MOST_UNITS, Unit, units
from hv.common.builder.lifecycle import description_of
from hv.common.drivers.devicetree import tree
from hv.common.kernel.log import error, limited, warning
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.work import Progress, Task, Work
from hv.common.lib.fdt import Node
from hv.common.mm.types import PAGE_SHIFT
from hv.common.model.domain import Domain, domains
from hv.lang import Embedded, Errno, Final, array, bounded, raises, u32

EVENTS_PER_STEP: Final = 16
MAX_NAMES: Final = 16  # of a node's interrupts

F_UUT: Final = 0x01
F_TRANSL_FORBIDDEN: Final = 0x07
F_TRANSLATION: Final = 0x10
F_ADDR_SIZE: Final = 0x11
F_ACCESS: Final = 0x12
F_PERMISSION: Final = 0x13
F_TLB_CONFLICT: Final = 0x20


class FaultReader(Task):
    """One unit's."""

    number: u32
    event_interrupt: u32  # 0: none
    error_interrupt: u32  # 0: it is the same
    work: Embedded[Work]
    busy: bool
    quiet_until: Ns  # about what no domain has

    def rang(self) -> None:
        self._mask()
        if not self.busy:
            self.busy = True
            self.work.init(self)
            self.work.start()

    def step(self) -> Progress:
        unit = units.table[self.number]
        lost = read_errors(unit)
        read = False
        for _ in range(EVENTS_PER_STEP):
            if unit.events.is_empty:
                break
            event = unit.events.first()
            unit.events.pass_first()
            self._tell(unit, event)
            read = True
        if (unit.events.lost_some() or lost) and self._may_tell():
            warning(f"{unit.name}: faults came faster than they are read: some are lost")
        if read:
            return Progress.WAITING
        self.busy = False
        self._unmask()
        return Progress.DONE

    def _tell(self, unit: Unit, event: Event) -> None:
        for domain in domains:
            if DomainStreams.of(domain).owns(self.number, event.stream):
                tell_of(domain, unit, event)
                return
        if self._may_tell():
            what = in_words(event.kind)
            warning(f"{unit.name}: stream {event.stream:#x}, which no domain has: {what}")

    def _may_tell(self) -> bool:
        at = now()
        if at < self.quiet_until:
            return False
        self.quiet_until = Ns(at + SECOND)
        return True

    def _mask(self) -> None:
        if self.event_interrupt != 0:
            gic.driver.disable(self.event_interrupt)
        if self.error_interrupt != 0:
            gic.driver.disable(self.error_interrupt)

    def _unmask(self) -> None:
        if self.event_interrupt != 0:
            gic.driver.enable(self.event_interrupt)
        if self.error_interrupt != 0:
            gic.driver.enable(self.error_interrupt)


class FaultReaders:
    table: array[FaultReader, MOST_UNITS]


readers: Final = FaultReaders()


def tell_of(domain: Domain, unit: Unit, event: Event) -> None:
    """With the line of the partition file that gave the domain the address, or that came nearest to it."""
    complaints = DomainStreams.of(domain).complaints
    what = in_words(event.kind)
    page = event.address >> PAGE_SHIFT if has_address(event.kind) else 0
    if not DomainStreams.of(domain).told.is_new(page, event.stream, event.kind, not event.access.read, now()):
        return
    if not has_address(event.kind):
        limited(complaints, f"d{domain.id} {domain.name}: stream {event.stream:#x} of {unit.name}: {what}")
        return
    how = "fetch" if event.access.fetch else "read" if event.access.read else "write"
    description = description_of(domain)
    if description is None or description.lines.count == 0:
        limited(
            complaints,
            f"d{domain.id} {domain.name}: stream {event.stream:#x} of {unit.name}: "
            f"{what} at {event.address:#x} ({how})",
        )
        return
    lines = description.lines
    line = lines.nearest(event.address)
    place = line.relation(event.address)
    edge = line.edge(event.address)
    limited(
        complaints,
        f"d{domain.id} {domain.name}: stream {event.stream:#x} of {unit.name}: {what} at {event.address:#x} ({how}) "
        f"({lines.file}:{line.number} {place} {edge:#x})",
    )


def in_words(kind: u32) -> str:
    match kind:
        case 0x01:
            return "unsupported transaction"
        case 0x02:
            return "no such stream"
        case 0x03:
            return "the stream table cannot be read"
        case 0x04:
            return "the stream reaches nothing"
        case 0x05 | 0x06 | 0x07 | 0x08:
            return "forbidden transaction"
        case 0x09 | 0x0A:
            return "the context descriptor cannot be used"
        case 0x0B:
            return "external abort of a table walk"
        case 0x10:
            return "translation fault"
        case 0x11:
            return "address size fault"
        case 0x12:
            return "access flag fault"
        case 0x13:
            return "permission fault"
        case 0x20 | 0x21:
            return "conflict of what is remembered"
        case _:
            return "unknown fault"


def has_address(kind: u32) -> bool:
    return kind in (F_UUT, F_TRANSL_FORBIDDEN, F_TLB_CONFLICT) or F_TRANSLATION <= kind <= F_PERMISSION


def read_errors(unit: Unit) -> bool:
    """Whether events were lost. Errors of the queue of commands are for who gives them."""
    active = read_device32(unit.registers + GERROR) ^ read_device32(unit.registers + GERRORN)
    found = Gerror(active)
    if found.service:
        error(f"{unit.name}: it has failed, and aborts all")
    told = active & ~Gerror(command=True).raw
    if told != 0:
        with unit.lock:
            acknowledged = read_device32(unit.registers + GERRORN)
            write_device32(unit.registers + GERRORN, acknowledged ^ told)
    return found.event_write


# Interrupts


def rang(intid: u32) -> None:
    for i in bounded(units.count, MOST_UNITS):
        reader = readers.table[i]
        if intid == reader.event_interrupt or intid == reader.error_interrupt:
            reader.rang()


@raises
def listen(number: u32) -> None:
    """Takes a unit's interrupts, as its node names them. EINVAL, EBUSY: not all can be taken. EIO."""
    unit = units.table[number]
    reader = readers.table[number]
    reader.number = number
    node = Node(tree, unit.node)
    reader.event_interrupt = claim(node, "eventq", 0)
    if reader.event_interrupt == 0:
        reader.event_interrupt = claim(node, "combined", 0)
    if reader.event_interrupt == 0:
        raise Errno.EINVAL
    reader.error_interrupt = claim(node, "gerror", reader.event_interrupt)
    unit.let_interrupt()


@raises
def claim(node: Node, name: str, other: u32) -> u32:
    """Its number. 0: the node names none so, or it is the other, which has been claimed. EINVAL, EBUSY."""
    index: u32 = 0
    for listed in node.property("interrupt-names"):
        if listed == name:
            spec = interrupt_of(node, index)
            if spec.intid == other:
                return 0
            interrupts.claim(spec.intid, spec.trigger, rang)
            return spec.intid
        index += 1
    return 0
