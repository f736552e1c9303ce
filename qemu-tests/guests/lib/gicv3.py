"""The guest's interrupt controller (Arm IHI 0069), with affinity routing and group 1 alone.

Its place in the guest physical map: Xen, public/arch-arm.h, GUEST_GICV3_GICD_BASE and GUEST_GICV3_GICR0_BASE.
"""

from guests.lib.controller import (
    DISTRIBUTOR,
    EVERY,
    FIRST_SHARED,
    FIRST_SPECIAL,
    PRIORITY,
    Controller,
    wait_for_zero,
)
from guests.lib.cpu import CPUS, MPIDR_EL1, complete_all, cpu, instruction_barrier
from guests.lib.ending import give_up
from guests.lib.mmio import read32, read64, write32, write64
from hv.lang import Final, SystemRegister, array, bounded, u32, u64

DISTRIBUTOR_SIZE: Final[u64] = 0x1_0000
REDISTRIBUTORS: Final[u64] = 0x0302_0000
REDISTRIBUTORS_SIZE: Final[u64] = 0x100_0000
REDISTRIBUTOR_SIZE: Final[u64] = 0x2_0000
PRIVATE_FRAME: Final[u64] = 0x1_0000

CTLR: Final[u64] = 0x0000
TYPER: Final[u64] = 0x0004
IGROUPR: Final[u64] = 0x0080  # these hold in the distributor and in a redistributor's private frame
ISENABLER: Final[u64] = 0x0100
ICENABLER: Final[u64] = 0x0180
ICPENDR: Final[u64] = 0x0280
ICACTIVER: Final[u64] = 0x0380
IPRIORITYR: Final[u64] = 0x0400
IROUTER: Final[u64] = 0x6000
REDISTRIBUTOR_TYPER: Final[u64] = 0x0008
REDISTRIBUTOR_WAKER: Final[u64] = 0x0014

ENABLE_GROUP1: Final[u32] = 1 << 1
AFFINITY_ROUTING: Final[u32] = 1 << 4
WRITE_PENDING: Final[u32] = 1 << 31
REDISTRIBUTOR_WRITE_PENDING: Final[u32] = 1 << 3
PROCESSOR_SLEEP: Final[u32] = 1 << 1
CHILDREN_ASLEEP: Final[u32] = 1 << 2
LAST: Final[u64] = 1 << 4
AFFINITY: Final[u64] = 0xFF_00FF_FFFF

MOST_REDISTRIBUTORS: Final = 128

ICC_SRE_EL1: Final = SystemRegister("icc_sre_el1")
ICC_PMR_EL1: Final = SystemRegister("icc_pmr_el1")
ICC_BPR1_EL1: Final = SystemRegister("icc_bpr1_el1")
ICC_CTLR_EL1: Final = SystemRegister("icc_ctlr_el1")
ICC_IGRPEN1_EL1: Final = SystemRegister("icc_igrpen1_el1")
ICC_IAR1_EL1: Final = SystemRegister("icc_iar1_el1")
ICC_EOIR1_EL1: Final = SystemRegister("icc_eoir1_el1")
ICC_AP0R0_EL1: Final = SystemRegister("icc_ap0r0_el1")
ICC_AP1R0_EL1: Final = SystemRegister("icc_ap1r0_el1")
ICC_SGI1R_EL1: Final = SystemRegister("icc_sgi1r_el1")


class GicV3(Controller):
    lines: u32  # interrupts that the distributor has
    redistributors: array[u64, CPUS]  # each CPU's, by its address

    def init(self) -> None:
        self.lines = min(32 * ((read32(DISTRIBUTOR + TYPER) & 0x1F) + 1), FIRST_SPECIAL)
        write32(DISTRIBUTOR + CTLR, 0)
        wait_for_zero(DISTRIBUTOR + CTLR, WRITE_PENDING)
        write32(DISTRIBUTOR + CTLR, AFFINITY_ROUTING)
        for word in bounded(1, self.lines // 32, 32):
            self._quieten(DISTRIBUTOR, u64(word))
        for number in bounded(FIRST_SHARED, self.lines, FIRST_SPECIAL):
            write64(DISTRIBUTOR + IROUTER + u64(number) * 8, MPIDR_EL1.read() & AFFINITY)
        wait_for_zero(DISTRIBUTOR + CTLR, WRITE_PENDING)
        write32(DISTRIBUTOR + CTLR, AFFINITY_ROUTING | ENABLE_GROUP1)
        wait_for_zero(DISTRIBUTOR + CTLR, WRITE_PENDING)

    def init_cpu(self) -> None:
        redistributor = self._find()
        self.redistributors[cpu()] = redistributor
        waker = redistributor + REDISTRIBUTOR_WAKER
        write32(waker, read32(waker) & ~PROCESSOR_SLEEP)
        wait_for_zero(waker, CHILDREN_ASLEEP)
        self._quieten(redistributor + PRIVATE_FRAME, 0)
        wait_for_zero(redistributor + CTLR, REDISTRIBUTOR_WRITE_PENDING)
        ICC_SRE_EL1.write(0x7)
        instruction_barrier()
        ICC_AP0R0_EL1.write(0)
        ICC_AP1R0_EL1.write(0)
        ICC_PMR_EL1.write(0xFF)
        ICC_BPR1_EL1.write(0)
        ICC_CTLR_EL1.write(0)
        ICC_IGRPEN1_EL1.write(1)
        instruction_barrier()

    def enable(self, intid: u32) -> None:
        frame = self.redistributors[cpu()] + PRIVATE_FRAME if intid < FIRST_SHARED else DISTRIBUTOR
        write32(frame + ISENABLER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def acknowledge(self) -> u64:
        return ICC_IAR1_EL1.read()

    def end(self, acknowledged: u64) -> None:
        ICC_EOIR1_EL1.write(acknowledged)
        instruction_barrier()

    def _quieten(self, frame: u64, word: u64) -> None:
        """32 interrupts: off, neither pending nor active, group 1, of one priority."""
        write32(frame + ICENABLER + word * 4, EVERY)
        write32(frame + ICPENDR + word * 4, EVERY)
        write32(frame + ICACTIVER + word * 4, EVERY)
        write32(frame + IGROUPR + word * 4, EVERY)
        for i in range(8):
            write32(frame + IPRIORITYR + word * 32 + u64(i) * 4, PRIORITY)

    def _find(self) -> u64:
        here = MPIDR_EL1.read() & AFFINITY
        packed = here >> 32 << 24 | here & 0xFF_FFFF
        for i in range(MOST_REDISTRIBUTORS):
            redistributor = REDISTRIBUTORS + u64(i) * REDISTRIBUTOR_SIZE
            kind = read64(redistributor + REDISTRIBUTOR_TYPER)
            if kind >> 32 == packed:
                return redistributor
            if kind & LAST != 0:
                break
        give_up("there is no redistributor for this CPU")


gicv3: Final = GicV3()


def send_sgi(value: u64) -> None:
    """ICC_SGI1R_EL1 (12.2.17): targets and number."""
    complete_all()
    ICC_SGI1R_EL1.write(value)
    instruction_barrier()
