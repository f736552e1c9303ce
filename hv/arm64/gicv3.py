"""The machine's GICv3: distributor, redistributors, CPU interfaces (Arm IHI 0069).

One security state is assumed for the registers' view: all interrupts are of group 1, at one priority, with affinity
routing. Settings that share a register are serialised by `Interrupts.lock`.
"""

from hv.arch import cpu_id
from hv.arm64.controller import (
    FIRST_SHARED,
    FIRST_SPECIAL,
    MAINTENANCE,
    InterruptController,
    LineState,
    Trigger,
    controllers,
)
from hv.arm64.cpu import (
    complete_all,
    instruction_barrier,
    read_device32,
    read_device64,
    write_device8,
    write_device32,
    write_device64,
)
from hv.arm64.interrupts import interrupt_of
from hv.arm64.sysreg import (
    AFFINITY_MASK,
    ICC_BPR1_EL1,
    ICC_CTLR_EL1,
    ICC_DIR_EL1,
    ICC_EOIR1_EL1,
    ICC_IAR1_EL1,
    ICC_IGRPEN1_EL1,
    ICC_PMR_EL1,
    ICC_SGI1R_EL1,
    ICC_SRE_EL2,
    MPIDR_EL1,
    Affinity,
)
from hv.common.kernel.cpus import online
from hv.common.kernel.panic import panic
from hv.common.lib.fdt import Node
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Bits,
    Errno,
    Field,
    Final,
    PerCpu,
    array,
    bounded,
    raises,
    truncate,
    u8,
    u32,
    u64,
    unbounded,
)

# Distributor; those below 0xD00 also of a redistributor's second frame, for the CPU's own interrupts.
CTLR: Final[u64] = 0x0000
TYPER: Final[u64] = 0x0004
IGROUPR: Final[u64] = 0x0080
ISENABLER: Final[u64] = 0x0100
ICENABLER: Final[u64] = 0x0180
ISPENDR: Final[u64] = 0x0200
ICPENDR: Final[u64] = 0x0280
ISACTIVER: Final[u64] = 0x0300
ICACTIVER: Final[u64] = 0x0380
IPRIORITYR: Final[u64] = 0x0400
ICFGR: Final[u64] = 0x0C00
IROUTER: Final[u64] = 0x6000

DISTRIBUTOR_SIZE: Final[u64] = 0x1_0000
CTLR_ENABLE_GROUP1: Final[u32] = 1 << 1
CTLR_AFFINITY_ROUTING: Final[u32] = 1 << 4
CTLR_WRITE_PENDING: Final[u32] = 1 << 31

# Redistributor
REDISTRIBUTOR_CTLR: Final[u64] = 0x0000
REDISTRIBUTOR_TYPER: Final[u64] = 0x0008
REDISTRIBUTOR_WAKER: Final[u64] = 0x0014
PRIVATE_FRAME: Final[u64] = 0x1_0000
REDISTRIBUTOR_SIZE: Final[u64] = 0x2_0000
REDISTRIBUTOR_SIZE_V4: Final[u64] = 0x4_0000  # with frames for virtual LPIs
REDISTRIBUTOR_WRITE_PENDING: Final[u32] = 1 << 3
WAKER_PROCESSOR_SLEEP: Final[u32] = 1 << 1
WAKER_CHILDREN_ASLEEP: Final[u32] = 1 << 2

PRIORITY: Final[u32] = 0xA0
ALL_PRIORITIES: Final[u64] = 0xF0  # of interrupts that the CPU interface lets through: those above
EVERY: Final[u32] = 0xFFFF_FFFF
SRE_ENABLE: Final[u64] = 0b1001  # system registers here, and for EL1 without a trap
CTLR_EOI_MODE: Final[u64] = 1 << 1

SGI_INTID: Final = 24  # where ICC_SGI1R_EL1 has the interrupt

MAX_REGIONS: Final = 64
MAX_REDISTRIBUTORS: Final = 1024


class RedistributorType(Bits[u64]):
    """GICR_TYPER."""

    virtual_lpis = Field(1)
    last = Field(4)
    number = Field(23, 8)
    affinity = Field(63, 32)


class RedistributorRegion:
    address: u64
    size: u64


class SgiTarget(Bits[u64]):
    """ICC_SGI1R_EL1 (12.11.6)."""

    targets = Field(15, 0)  # a bit for each CPU of the range
    aff1 = Field(23, 16)
    intid = Field(27, 24)
    aff2 = Field(39, 32)
    range = Field(47, 44)  # aff0 // 16
    aff3 = Field(55, 48)


class GicV3Cpu(PerCpu):
    """Where a CPU is; set when it starts."""

    redistributor: u64  # its address
    affinity: u64  # in the form of MPIDR_EL1
    sgi: u64  # `SgiTarget` of interrupt 0 to this CPU


class GicV3(InterruptController):
    distributor: u64
    count: u32  # interrupts that the distributor has
    regions: array[RedistributorRegion, MAX_REGIONS]
    region_count: u32
    maintenance_interrupt: u32
    stride: u64  # bytes from a redistributor to the next; 0: what each one's type says

    @raises
    def init(self, node: Node, windows: RegisterWindows) -> None:
        distributor = node.reg(0)
        self.distributor = windows.map(Paddr(distributor.start), max(distributor.size, DISTRIBUTOR_SIZE))
        listed = node.property("#redistributor-regions")
        self.region_count = listed.cell() if listed.found else 1
        if self.region_count == 0 or self.region_count > MAX_REGIONS:
            raise Errno.EINVAL
        for i in bounded(self.region_count, MAX_REGIONS):
            region = node.reg(i + 1)
            self.regions[i].address = windows.map(Paddr(region.start), region.size)
            self.regions[i].size = region.size
        stride = node.property("redistributor-stride")
        self.stride = stride.integer() if stride.found else 0
        self.count = min(32 * ((read_device32(self.distributor + TYPER) & 0x1F) + 1), FIRST_SPECIAL)
        self.maintenance_interrupt = interrupt_of(node, 0).intid if node.has("interrupts") else MAINTENANCE
        self._start_distributor()

    def most_cpus(self) -> u32:
        return CONFIG_NR_CPUS

    def start_cpu(self) -> None:
        place = Affinity(MPIDR_EL1.read() & AFFINITY_MASK)
        redistributor = self._find_redistributor(place)
        cpu = GicV3Cpu.this()
        cpu.redistributor = redistributor
        cpu.affinity = place.raw
        cpu.sgi = sgi_target(place).raw
        self._wake(redistributor)
        private = redistributor + PRIVATE_FRAME
        write_device32(private + ICENABLER, EVERY)
        write_device32(private + ICPENDR, EVERY)
        write_device32(private + ICACTIVER, EVERY)
        write_device32(private + IGROUPR, EVERY)
        for i in range(FIRST_SHARED // 4):
            write_device32(private + IPRIORITYR + u64(i) * 4, PRIORITY * 0x0101_0101)
        self._wait_redistributor(redistributor)
        ICC_SRE_EL2.write(ICC_SRE_EL2.read() | SRE_ENABLE)
        instruction_barrier()
        ICC_PMR_EL1.write(ALL_PRIORITIES)
        ICC_BPR1_EL1.write(0)
        ICC_CTLR_EL1.write(CTLR_EOI_MODE)
        ICC_IGRPEN1_EL1.write(1)
        instruction_barrier()

    def supports(self, intid: u32) -> bool:
        return intid < self.count

    def configure(self, intid: u32, trigger: Trigger) -> None:
        if intid < 16:
            return  # interrupts between CPUs are edges
        register = self._frame(intid) + ICFGR + u64(intid // 16) * 4
        bit = u32(2) << intid % 16 * 2
        settings = read_device32(register)
        write_device32(register, settings | bit if trigger == Trigger.EDGE else settings & ~bit)
        if intid >= FIRST_SHARED:
            self.route(intid, cpu_id())

    def enable(self, intid: u32) -> None:
        write_device32(self._frame(intid) + ISENABLER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def disable(self, intid: u32) -> None:
        write_device32(self._frame(intid) + ICENABLER + u64(intid // 32) * 4, u32(1) << intid % 32)
        if intid < FIRST_SHARED:
            self._wait_redistributor(GicV3Cpu.this().redistributor)
        else:
            self._wait_distributor()

    def route(self, intid: u32, cpu: u32) -> None:
        assert FIRST_SHARED <= intid < self.count, "a CPU's own interrupt cannot be routed"
        write_device64(self.distributor + IROUTER + u64(intid) * 8, GicV3Cpu.on(cpu).affinity)

    def acknowledge(self) -> u32:
        intid = ICC_IAR1_EL1.read()
        complete_all()  # the acknowledgement is done before the device is looked at
        return truncate(u32, intid)

    def end(self, intid: u32) -> None:
        ICC_EOIR1_EL1.write(u64(intid))
        instruction_barrier()

    def deactivate(self, intid: u32) -> None:
        ICC_DIR_EL1.write(u64(intid))

    def make_inactive(self, intid: u32) -> None:
        assert FIRST_SHARED <= intid, "of a CPU's own interrupts `deactivate`"
        write_device32(self.distributor + ICACTIVER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def clear_pending(self, intid: u32) -> None:
        write_device32(self._frame(intid) + ICPENDR + u64(intid // 32) * 4, u32(1) << intid % 32)

    def activate(self, intid: u32) -> None:
        assert intid < FIRST_SHARED, "a shared interrupt follows no vCPU"
        write_device32(self._frame(intid) + ISACTIVER, u32(1) << intid)

    def send_ipi(self, intid: u32, cpu: u32) -> None:
        ICC_SGI1R_EL1.write(GicV3Cpu.on(cpu).sgi | u64(intid) << SGI_INTID)
        instruction_barrier()  # it goes out now, whatever this CPU waits for next

    def state(self, intid: u32) -> LineState:
        frame = self._frame(intid)
        word = u64(intid // 32) * 4
        bit = u32(1) << intid % 32
        goes_to: u32 = CONFIG_NR_CPUS
        if intid >= FIRST_SHARED:
            place = read_device64(self.distributor + IROUTER + u64(intid) * 8) & AFFINITY_MASK
            for cpu in online:
                if GicV3Cpu.on(cpu).affinity == place:
                    goes_to = cpu
                    break
        return LineState(
            enabled=read_device32(frame + ISENABLER + word) & bit != 0,
            pending=read_device32(frame + ISPENDR + word) & bit != 0,
            active=read_device32(frame + ISACTIVER + word) & bit != 0,
            cpu=goes_to,
        )

    def virtual_version(self) -> u32:
        return 3

    def maintenance(self) -> u32:
        return self.maintenance_interrupt

    def _frame(self, intid: u32) -> u64:
        """Where an interrupt's settings are; the same offsets hold in both frames."""
        return GicV3Cpu.this().redistributor + PRIVATE_FRAME if intid < FIRST_SHARED else self.distributor

    def _start_distributor(self) -> None:
        """All shared interrupts off, group 1, one priority, level, to this CPU."""
        write_device32(self.distributor + CTLR, 0)
        self._wait_distributor()
        here = MPIDR_EL1.read() & AFFINITY_MASK
        for word in bounded(1, self.count // 32, 32):
            write_device32(self.distributor + ICENABLER + u64(word) * 4, EVERY)
            write_device32(self.distributor + ICPENDR + u64(word) * 4, EVERY)
            write_device32(self.distributor + ICACTIVER + u64(word) * 4, EVERY)
            write_device32(self.distributor + IGROUPR + u64(word) * 4, EVERY)
        for i in bounded(FIRST_SHARED, self.count, FIRST_SPECIAL):
            write_device8(self.distributor + IPRIORITYR + u64(i), u8(PRIORITY))
        self._wait_distributor()
        write_device32(self.distributor + CTLR, CTLR_AFFINITY_ROUTING | CTLR_ENABLE_GROUP1)
        self._wait_distributor()
        for i in bounded(FIRST_SHARED, self.count, FIRST_SPECIAL):
            write_device64(self.distributor + IROUTER + u64(i) * 8, here)

    def _find_redistributor(self, place: Affinity) -> u64:
        packed = u64(place.aff3) << 24 | u64(place.aff2) << 16 | u64(place.aff1) << 8 | u64(place.aff0)
        for i in bounded(self.region_count, MAX_REGIONS):
            region = self.regions[i]
            offset: u64 = 0
            for _ in range(MAX_REDISTRIBUTORS):
                if offset + REDISTRIBUTOR_SIZE > region.size:
                    break
                kind = RedistributorType(read_device64(region.address + offset + REDISTRIBUTOR_TYPER))
                if kind.affinity == packed:
                    return region.address + offset
                if kind.last:
                    break
                own = REDISTRIBUTOR_SIZE_V4 if kind.virtual_lpis else REDISTRIBUTOR_SIZE
                offset += own if self.stride == 0 else self.stride
        panic("the interrupt controller has no redistributor for this CPU")

    @unbounded("the redistributor wakes up")
    def _wake(self, redistributor: u64) -> None:
        register = redistributor + REDISTRIBUTOR_WAKER
        write_device32(register, read_device32(register) & ~WAKER_PROCESSOR_SLEEP)
        while read_device32(register) & WAKER_CHILDREN_ASLEEP != 0:
            pass

    @unbounded("the distributor finishes what was written")
    def _wait_distributor(self) -> None:
        while read_device32(self.distributor + CTLR) & CTLR_WRITE_PENDING != 0:
            pass

    @unbounded("the redistributor finishes what was written")
    def _wait_redistributor(self, redistributor: u64) -> None:
        while read_device32(redistributor + REDISTRIBUTOR_CTLR) & REDISTRIBUTOR_WRITE_PENDING != 0:
            pass


def sgi_target(place: Affinity) -> SgiTarget:
    return SgiTarget(
        targets=u64(1) << place.aff0 % 16,
        aff1=place.aff1,
        aff2=place.aff2,
        aff3=place.aff3,
        range=place.aff0 // 16,
    )


gicv3: Final = GicV3()


@controllers.entry(compatible="arm,gic-v3")
def gic_v3() -> InterruptController:
    return gicv3
