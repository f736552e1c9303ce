"""The machine's GICv2: a distributor, and a CPU interface at the same address for each of up to eight CPUs (Arm IHI
0048B).

All interrupts have one priority and the group that bit 0 of both control registers enables: group 0 where there is one
security state, and what secure software left to us (read as group 0, too) where there are two. Settings that share a
register are serialised by `Interrupts.lock`.

An interrupt between CPUs is acknowledged with its sender's number, which ending has to name again. It is deactivated as
soon as its priority drops: it says no more than "look", and interrupts are masked until its handler is done.
"""

from hv.arch import cpu_id, read_device32, write_device32
from hv.arm64.controller import (
    FIRST_PRIVATE,
    FIRST_SHARED,
    FIRST_SPECIAL,
    MAINTENANCE,
    InterruptController,
    LineState,
    Trigger,
    controllers,
)
from hv.arm64.cpu import complete_all
from hv.arm64.interrupts import interrupt_of
from hv.common.kernel.cpus import online
from hv.common.kernel.log import warning
from hv.common.kernel.panic import panic
from hv.common.lib.fdt import Node
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Bits, Errno, Field, Final, PerCpu, bounded, raises, u32, u64

# Distributor (4.1.2). The first words of those with a bit or more for each interrupt are each CPU's own.
CTLR: Final[u64] = 0x000
TYPER: Final[u64] = 0x004
IGROUPR: Final[u64] = 0x080
ISENABLER: Final[u64] = 0x100
ICENABLER: Final[u64] = 0x180
ISPENDR: Final[u64] = 0x200
ICPENDR: Final[u64] = 0x280
ISACTIVER: Final[u64] = 0x300
ICACTIVER: Final[u64] = 0x380
IPRIORITYR: Final[u64] = 0x400
ITARGETSR: Final[u64] = 0x800
ICFGR: Final[u64] = 0xC00
SGIR: Final[u64] = 0xF00
CPENDSGIR: Final[u64] = 0xF10
DISTRIBUTOR_SIZE: Final[u64] = 0x1000

# CPU interface (4.1.3)
INTERFACE_CTLR: Final[u64] = 0x00
PMR: Final[u64] = 0x04
BPR: Final[u64] = 0x08
IAR: Final[u64] = 0x0C
EOIR: Final[u64] = 0x10
APR: Final[u64] = 0xD0
IIDR: Final[u64] = 0xFC
DIR: Final[u64] = 0x1000
INTERFACE_SIZE: Final[u64] = 0x2000
SPREAD_SIZE: Final[u64] = 0x2_0000
SPREAD: Final[u64] = 0xF000

ENABLE: Final[u32] = 1
END_MODE: Final[u32] = 1 << 9  # EOIR only drops the priority, DIR deactivates
BYPASS: Final[u32] = 0x1E0  # what the interface does while it is disabled: the firmware's choice
ALL_PRIORITIES: Final[u32] = 0xF0
PRIORITY: Final[u32] = 0xA0
EVERY: Final[u32] = 0xFFFF_FFFF
BYTES: Final[u32] = 0x0101_0101
ACTIVE_PRIORITIES: Final = 4  # words
MAX_CPUS: Final[u32] = 8
MAX_WORDS: Final = 32  # of one bit for each interrupt
SGI_TARGETS: Final = 16  # where SGIR has the mask of CPUs


class DistributorType(Bits[u32]):
    """GICD_TYPER."""

    lines = Field(4, 0)  # interrupts // 32, less one
    cpus = Field(7, 5)  # less one


class Acknowledged(Bits[u32]):
    """GICC_IAR, and what GICC_EOIR and GICC_DIR take."""

    intid = Field(9, 0)
    source = Field(12, 10)  # the CPU interface that sent an interrupt below 16


class GicV2Cpu(PerCpu):
    target: u32  # the bit of the CPU's interface; set when it starts
    taken: Acknowledged  # last


class GicV2(InterruptController):
    distributor: u64
    interface: u64
    deactivation: u64  # the address of GICC_DIR
    count: u32  # interrupts that the distributor has
    cpus: u32
    maintenance_interrupt: u32
    control: u64  # the address of GICH; 0: there are no virtual CPU interfaces
    virtual: Paddr  # GICV: the first page of a guest's CPU interface

    @raises
    def init(self, node: Node, windows: RegisterWindows) -> None:
        distributor = node.reg(0)
        interface = node.reg(1)
        self.distributor = windows.map(Paddr(distributor.start), max(distributor.size, DISTRIBUTOR_SIZE))
        # Trees that give the interface one page forget the second, which every GICv2 has.
        self.interface = windows.map(Paddr(interface.start), max(interface.size, INTERFACE_SIZE))
        self._find_layout(interface.size)
        kind = DistributorType(read_device32(self.distributor + TYPER))
        self.count = min(32 * (kind.lines + 1), FIRST_SPECIAL)
        self.cpus = kind.cpus + 1
        self.maintenance_interrupt = interrupt_of(node, 0).intid if node.has("interrupts") else MAINTENANCE
        if architecture_of(read_device32(self.interface + IIDR)) != 2:
            raise Errno.ENODEV  # a GICv1 cannot deactivate apart from ending
        self._find_virtual(node, windows)
        self._start_distributor()

    def most_cpus(self) -> u32:
        return self.cpus

    def start_cpu(self) -> None:
        GicV2Cpu.this().target = self._own_target()
        write_device32(self.interface + INTERFACE_CTLR, read_device32(self.interface + INTERFACE_CTLR) & BYPASS)
        write_device32(self.distributor + ICENABLER, EVERY)
        write_device32(self.distributor + ICPENDR, EVERY)
        write_device32(self.distributor + ICACTIVER, EVERY)
        write_device32(self.distributor + IGROUPR, 0)
        for i in range(FIRST_PRIVATE // 4):
            write_device32(self.distributor + CPENDSGIR + u64(i) * 4, EVERY)
        for i in range(FIRST_SHARED // 4):
            write_device32(self.distributor + IPRIORITYR + u64(i) * 4, PRIORITY * BYTES)
        for i in range(ACTIVE_PRIORITIES):
            write_device32(self.interface + APR + u64(i) * 4, 0)
        write_device32(self.interface + PMR, ALL_PRIORITIES)
        write_device32(self.interface + BPR, 0)
        kept = read_device32(self.interface + INTERFACE_CTLR) & BYPASS
        write_device32(self.interface + INTERFACE_CTLR, kept | END_MODE | ENABLE)

    def supports(self, intid: u32) -> bool:
        return intid < self.count

    def configure(self, intid: u32, trigger: Trigger) -> None:
        if intid < FIRST_PRIVATE:
            return  # interrupts between CPUs are edges
        register = self.distributor + ICFGR + u64(intid // 16) * 4
        bit = u32(2) << intid % 16 * 2
        settings = read_device32(register)
        write_device32(register, settings | bit if trigger == Trigger.EDGE else settings & ~bit)
        if intid >= FIRST_SHARED:
            self.route(intid, cpu_id())

    def enable(self, intid: u32) -> None:
        write_device32(self.distributor + ISENABLER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def disable(self, intid: u32) -> None:
        register = self.distributor + ICENABLER + u64(intid // 32) * 4
        write_device32(register, u32(1) << intid % 32)
        read_device32(register)  # the write has arrived

    def route(self, intid: u32, cpu: u32) -> None:
        assert FIRST_SHARED <= intid < self.count, "a CPU's own interrupt cannot be routed"
        register = self.distributor + ITARGETSR + u64(intid & ~u32(3))
        shift = intid % 4 * 8
        others = read_device32(register) & ~(u32(0xFF) << shift)
        write_device32(register, others | GicV2Cpu.on(cpu).target << shift)

    def acknowledge(self) -> u32:
        taken = Acknowledged(read_device32(self.interface + IAR))
        complete_all()  # the acknowledgement is done before the device, or what the sender wrote, is looked at
        GicV2Cpu.this().taken = taken
        return taken.intid

    def end(self, intid: u32) -> None:
        if intid >= FIRST_PRIVATE:
            write_device32(self.interface + EOIR, intid)
            return
        taken = GicV2Cpu.this().taken
        assert taken.intid == intid, "an interrupt ends that was not taken last"
        write_device32(self.interface + EOIR, taken.raw)
        write_device32(self.deactivation, taken.raw)

    def deactivate(self, intid: u32) -> None:
        if intid >= FIRST_PRIVATE:
            write_device32(self.deactivation, intid)

    def make_inactive(self, intid: u32) -> None:
        assert FIRST_SHARED <= intid, "of a CPU's own interrupts `deactivate`"
        write_device32(self.distributor + ICACTIVER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def clear_pending(self, intid: u32) -> None:
        write_device32(self.distributor + ICPENDR + u64(intid // 32) * 4, u32(1) << intid % 32)

    def activate(self, intid: u32) -> None:
        assert FIRST_PRIVATE <= intid < FIRST_SHARED, "a shared interrupt follows no vCPU"
        write_device32(self.distributor + ISACTIVER, u32(1) << intid)

    def send_ipi(self, intid: u32, cpu: u32) -> None:
        write_device32(self.distributor + SGIR, GicV2Cpu.on(cpu).target << SGI_TARGETS | intid)

    def state(self, intid: u32) -> LineState:
        word = u64(intid // 32) * 4
        bit = u32(1) << intid % 32
        targets = read_device32(self.distributor + ITARGETSR + u64(intid & ~u32(3))) >> intid % 4 * 8
        goes_to: u32 = CONFIG_NR_CPUS
        for cpu in online:
            if targets & GicV2Cpu.on(cpu).target != 0:
                goes_to = cpu
                break
        return LineState(
            enabled=read_device32(self.distributor + ISENABLER + word) & bit != 0,
            pending=read_device32(self.distributor + ISPENDR + word) & bit != 0,
            active=read_device32(self.distributor + ISACTIVER + word) & bit != 0,
            cpu=goes_to,
        )

    def virtual_version(self) -> u32:
        return 2 if self.control != 0 else 0

    def maintenance(self) -> u32:
        return self.maintenance_interrupt

    def _find_layout(self, size: u64) -> None:
        """Systems with pages of 64 KiB repeat each of the interface's two 4 KiB pages sixteen times. Then the
        identification of the first page is found in what would be the sixteenth, and DIR is 64 KiB behind.

        Source: Arm DEN 0029 (SBSA), on GIC-400 in systems with 64 KiB pages.
        """
        self.deactivation = self.interface + DIR
        if size >= SPREAD_SIZE:
            identification = read_device32(self.interface + IIDR)
            if identification != 0 and read_device32(self.interface + SPREAD + IIDR) == identification:
                self.deactivation = self.interface + SPREAD + DIR

    def _find_virtual(self, node: Node, windows: RegisterWindows) -> None:
        """The third and the fourth of the node's ranges, where there are Virtualization Extensions. Of GICH the first
        4 KiB are used, of GICV the first page, wherever others repeat them: GICV_DIR, in the second, is emulated.
        """
        try:
            control = node.reg(2)
            virtual = node.reg(3)
            if virtual.start % PAGE_SIZE != 0:
                warning(f"{node.name}: the virtual CPU interface at {virtual.start:#x} begins in the midst of a page")
                return
            window = windows.map(Paddr(virtual.start), PAGE_SIZE)
            version = architecture_of(read_device32(window + IIDR))
            windows.unmap(window)
            if version == 2:
                self.control = windows.map(Paddr(control.start), max(control.size, PAGE_SIZE))
                self.virtual = Paddr(virtual.start)
        except Errno:
            return

    def _start_distributor(self) -> None:
        """All shared interrupts off, one priority, level, to this CPU."""
        write_device32(self.distributor + CTLR, 0)
        here = self._own_target() * BYTES
        for word in bounded(1, self.count // 32, MAX_WORDS):
            write_device32(self.distributor + ICENABLER + u64(word) * 4, EVERY)
            write_device32(self.distributor + ICPENDR + u64(word) * 4, EVERY)
            write_device32(self.distributor + ICACTIVER + u64(word) * 4, EVERY)
            write_device32(self.distributor + IGROUPR + u64(word) * 4, 0)
        for i in bounded(FIRST_SHARED // 4, self.count // 4, FIRST_SPECIAL // 4):
            write_device32(self.distributor + IPRIORITYR + u64(i) * 4, PRIORITY * BYTES)
            write_device32(self.distributor + ITARGETSR + u64(i) * 4, here)
        write_device32(self.distributor + CTLR, ENABLE)

    def _own_target(self) -> u32:
        """This CPU's bit, which the targets of its own interrupts read as; a GIC with one CPU has none (4.3.12)."""
        targets = read_device32(self.distributor + ITARGETSR)
        target = (targets | targets >> 8 | targets >> 16 | targets >> 24) & 0xFF
        if target == 0:
            if self.cpus != 1:
                panic("the interrupt controller has no interface for this CPU")
            target = 1
        return target


def architecture_of(identification: u32) -> u32:
    """GICC_IIDR: the version of the GIC architecture."""
    return identification >> 16 & 0xF


gicv2: Final = GicV2()


@controllers.entry(compatible="arm,gic-400")
def gic_400() -> InterruptController:
    return gicv2


@controllers.entry(compatible="arm,cortex-a15-gic")
def cortex_a15_gic() -> InterruptController:
    return gicv2


@controllers.entry(compatible="arm,cortex-a7-gic")
def cortex_a7_gic() -> InterruptController:
    return gicv2
