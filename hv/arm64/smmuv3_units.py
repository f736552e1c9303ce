"""The machine's SMMUs: finding them, turning them on, and making them forget (Arm IHI 0070, 3.11, 3.16, 6.3).

All translate alike: by stage 2 when each can, else by stage 1. Where all snoop as well, stage 2 walks the
domains' own tables (`shares`).

An SMMU that does not do what it is told, such as forgetting, is turned off: what is behind it is aborted then, and
nothing that it remembers is used. One that cannot even be turned off ends the machine.

`Unit.lock` protects its queue of commands and its stream table.
"""

from hv.arch import now, read_device32, relax, write_device32
from hv.arm64.smmuv3_layout import (
    ALL_STREAMS,
    CFGI_STE_RANGE,
    CR0,
    CR0ACK,
    CR1,
    CR2,
    EVENTQ_IRQ_CFG0,
    GBPA,
    GERROR,
    GERROR_IRQ_CFG0,
    GERRORN,
    GROUP_BITS,
    IDR0,
    IDR1,
    IDR5,
    IRQ_CTRL,
    IRQ_CTRLACK,
    REGISTERS_BYTES,
    STALL_FORCED,
    TLBI_EL2_ALL,
    TLBI_NH_ASID,
    TLBI_NH_VA,
    TLBI_NSNH_ALL,
    TLBI_S2_IPA,
    TLBI_S12_VMALL,
    Command,
    Cr0,
    Cr1,
    Cr2,
    Gbpa,
    Idr0,
    Idr1,
    Idr5,
    IrqControl,
    StreamCommand,
)
from hv.arm64.smmuv3_queue import LEAST_BITS, PATIENCE, CommandQueue, EventQueue, write_wide
from hv.arm64.smmuv3_streams import StreamTable
from hv.common.drivers.devicetree import tree
from hv.common.kernel.log import error
from hv.common.kernel.panic import panic
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.time import Ns
from hv.common.lib.fdt import Node
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import PAGE_SHIFT, Paddr
from hv.lang import (
    Atomic,
    Embedded,
    Errno,
    Final,
    Iterator,
    array,
    bounded,
    raises,
    u16,
    u32,
    u64,
    unbounded,
)

COMPATIBLE: Final = "arm,smmu-v3"
MOST_UNITS: Final = 16  # hv.common.iommu.streams.MAX_UNITS
MOST_TAGS: Final = 64  # hv.common.mm.device_maps.MOST_TAGS
FEW: Final[u64] = 8  # single entries that are forgotten one by one; more of a domain are forgotten as a whole
INNER: Final[u32] = 3  # shareability
OUTER: Final[u32] = 2


class Unit:
    lock: SpinLock[Rank.IOMMU]
    name: str  # of its node
    node: u32  # where that stands in the tree
    registers: u64
    idr0: Idr0
    idr1: Idr1
    idr5: Idr5
    commands: Embedded[CommandQueue]
    events: Embedded[EventQueue]
    streams: Embedded[StreamTable]
    usable: bool  # it can do what all are to do
    on: bool

    @raises
    def probe(self, node: Node, windows: RegisterWindows) -> None:
        """EINVAL: the node is malformed. ENODEV: it cannot be used. ENOMEM."""
        self.name = node.name
        self.node = node.offset
        region = node.reg(0)
        if region.size < REGISTERS_BYTES:
            raise Errno.EINVAL
        self.registers = windows.map(Paddr(region.start), REGISTERS_BYTES)
        self.idr0 = Idr0(self._read(IDR0))
        self.idr1 = Idr1(self._read(IDR1))
        self.idr5 = Idr5(self._read(IDR5))
        hindrance = self._hindrance()
        if hindrance != "":
            error(f"{self.name}: {hindrance}: what is behind it is not confined")
            windows.unmap(self.registers)
            raise Errno.ENODEV

    def _hindrance(self) -> str:
        if not self.idr0.stage1 and not self.idr0.stage2:
            return "it translates nothing"
        if self.idr0.formats & 2 == 0 or self.idr0.big_endian == 3:
            return "it does not walk AArch64's tables"
        if not self.idr5.granule_4k:
            return "it has no pages of 4 KiB"
        if self.idr0.stall == STALL_FORCED:
            return "it stalls what it cannot translate"
        if self.idr1.tables_preset or self.idr1.queues_preset:
            return "its tables are at places of its own"
        if min(self.idr1.command_bits, self.idr1.event_bits) < LEAST_BITS:
            return "its queues are too short"
        return ""

    @property
    def stream_count(self) -> u64:
        return u64(1) << StreamTable.bits_of(self.idr1.stream_bits, self.idr0.two_level == 1)

    # On and off

    @raises
    def start(self) -> None:
        """Everything is aborted from here on. ENOMEM. EIO: it does not do what it is told."""
        snoops = self.idr0.coherent
        self._abort_when_off()
        self._turn(Cr0(0))
        self._write(CR1, access_of(snoops))
        self._write(CR2, Cr2(tells_bad_streams=True, private_tlb=True).raw)
        self._write(GERRORN, self._read(GERROR))
        self.streams.init(self.registers, self.idr1.stream_bits, self.idr0.two_level == 1, snoops)
        self.commands.init(self.registers, self.idr1.command_bits, snoops)
        self.events.init(self.registers, self.idr1.event_bits, snoops)
        self._turn(Cr0(commands=True))
        self.commands.put(StreamCommand(opcode=CFGI_STE_RANGE).raw, ALL_STREAMS)
        if self.idr0.el2:
            self.commands.put(Command(opcode=TLBI_EL2_ALL).raw, 0)
        self.commands.put(Command(opcode=TLBI_NSNH_ALL).raw, 0)
        why = self.commands.complete()
        if why != "":
            error(f"{self.name}: {why}")
            raise Errno.EIO
        self._turn(Cr0(commands=True, events=True))
        self._turn(Cr0(commands=True, events=True, enabled=True))
        self.on = True

    @raises
    def let_interrupt(self) -> None:
        """By wires. EIO."""
        if self.idr0.msi:
            write_wide(self.registers + GERROR_IRQ_CFG0, 0)
            write_wide(self.registers + EVENTQ_IRQ_CFG0, 0)
        control = IrqControl(errors=True, events=True).raw
        self._write(IRQ_CTRL, control)
        if not self._becomes(IRQ_CTRLACK, control):
            raise Errno.EIO

    def _abort_when_off(self) -> None:
        """Until it is on, and when it is off again."""
        if self._becomes_without(GBPA, Gbpa(update=True).raw):
            self._write(GBPA, Gbpa(abort=True, update=True).raw)
            self._becomes_without(GBPA, Gbpa(update=True).raw)

    @raises
    def _turn(self, control: Cr0) -> None:
        self._write(CR0, control.raw)
        if not self._becomes(CR0ACK, control.raw):
            error(f"{self.name}: it does not answer")
            raise Errno.EIO

    def stop(self, why: str) -> None:
        """It has failed. Under its lock."""
        self.on = False
        self._abort_when_off()
        self._write(CR0, 0)
        if not self._becomes(CR0ACK, 0) or not Gbpa(self._read(GBPA)).abort:
            panic(f"{self.name}: {why}, and what is behind it cannot be stopped")
        error(f"{self.name}: {why}: it is turned off, and what is behind it reaches no memory")

    # Commands

    def reread(self, held: Held[Rank.IOMMU], stream: u32) -> None:
        """The entries of a stream's group have changed."""
        group = u64(stream >> GROUP_BITS << GROUP_BITS)
        self.commands.put(StreamCommand(opcode=CFGI_STE_RANGE, stream=group).raw, u64(GROUP_BITS - 1))

    def forget_all(self, held: Held[Rank.IOMMU], tag: u16) -> None:
        if units.stage2:
            self.commands.put(Command(opcode=TLBI_S12_VMALL, vmid=u64(tag)).raw, 0)
        else:
            self.commands.put(Command(opcode=TLBI_NH_ASID, asid=u64(tag)).raw, 0)

    def forget_one(self, held: Held[Rank.IOMMU], tag: u16, address: u64) -> None:
        """The leaf there, and the tables on the way."""
        if units.stage2:
            self.commands.put(Command(opcode=TLBI_S2_IPA, vmid=u64(tag)).raw, address)
        else:
            self.commands.put(Command(opcode=TLBI_NH_VA, asid=u64(tag)).raw, address)

    def complete(self, held: Held[Rank.IOMMU]) -> None:
        """Returns when the commands are done, or it is off."""
        why = self.commands.complete()
        if why != "":
            self.stop(why)

    # Registers

    def _read(self, register: u64) -> u32:
        return read_device32(self.registers + register)

    def _write(self, register: u64, value: u32) -> None:
        write_device32(self.registers + register, value)

    @unbounded("ends with the wait, or after a while")
    def _becomes(self, register: u64, value: u32) -> bool:
        deadline = Ns(now() + PATIENCE)
        while self._read(register) != value:
            if now() >= deadline:
                return False
            relax()
        return True

    @unbounded("ends with the wait, or after a while")
    def _becomes_without(self, register: u64, bit: u32) -> bool:
        deadline = Ns(now() + PATIENCE)
        while self._read(register) & bit != 0:
            if now() >= deadline:
                return False
            relax()
        return True


class Units:
    table: array[Unit, MOST_UNITS]
    count: u32
    stage2: bool
    snoop: bool
    holders: array[Atomic[u32], MOST_TAGS]  # a bit for each unit that may remember what has the tag

    @property
    def shares(self) -> bool:
        return self.stage2 and self.snoop

    def __iter__(self) -> Iterator[Unit]:
        for i in bounded(self.count, MOST_UNITS):
            yield self.table[i]

    def probe(self, windows: RegisterWindows) -> None:
        """All that the tree has and that can be used; later ones with less than the first, and beyond the most, not."""
        self.count = 0
        self.stage2 = True
        self.snoop = True
        for node in tree.compatible(COMPATIBLE):
            if node.enabled and self.count != MOST_UNITS:
                self._probe(node, windows)
        for unit in self:
            self.stage2 = self.stage2 and unit.idr0.stage2
            self.snoop = self.snoop and unit.idr0.coherent
        for unit in self:
            unit.usable = self.stage2 or unit.idr0.stage1
            if not unit.usable:
                error(f"{unit.name}: it has no stage 1, as others have: what is behind it is not confined")

    def _probe(self, node: Node, windows: RegisterWindows) -> None:
        try:
            self.table[self.count].probe(node, windows)
            self.count += 1
        except Errno as e:
            if e is not Errno.ENODEV:
                error(f"{node.name}: it cannot be used ({e.name}): what is behind it is not confined")

    def forget(self, tag: u16, start: u64, frames: u64, order: u32) -> None:
        """As `Walker.invalidate`, for what may have the tag in its TLB."""
        holders = self.holders[tag].load()
        if holders == 0:
            return
        entries = (frames + (u64(1) << order) - 1) >> order
        for i in bounded(self.count, MOST_UNITS):
            if holders >> i & 1 != 0:
                forget_in(self.table[i], tag, start, entries, order)


def forget_in(unit: Unit, tag: u16, start: u64, entries: u64, order: u32) -> None:
    with unit.lock as held:
        if not unit.on:
            return
        if entries > FEW:
            unit.forget_all(held, tag)
        else:
            for i in bounded(entries, FEW):
                unit.forget_one(held, tag, (start + (i << order)) << PAGE_SHIFT)
        unit.complete(held)


def access_of(snoops: bool) -> u32:
    """CR1: as the CPUs access queues and stream table, or past all caches."""
    if not snoops:
        return Cr1(queue_shareability=OUTER, table_shareability=OUTER).raw
    return Cr1(
        queue_inner=1,
        queue_outer=1,
        queue_shareability=INNER,
        table_inner=1,
        table_outer=1,
        table_shareability=INNER,
    ).raw


units: Final = Units()
