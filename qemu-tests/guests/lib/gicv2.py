"""The guest's interrupt controller (Arm IHI 0048B), without Security Extensions, group 0 alone.

Its place in the guest physical map: Xen, public/arch-arm.h, GUEST_GICD_BASE and GUEST_GICC_BASE.
"""

from guests.lib.controller import DISTRIBUTOR, EVERY, FIRST_SHARED, FIRST_SPECIAL, PRIORITY, Controller
from guests.lib.cpu import complete_all
from guests.lib.mmio import read32, write32
from hv.lang import Final, bounded, u32, u64

DISTRIBUTOR_SIZE: Final[u64] = 0x1000
INTERFACE: Final[u64] = 0x0300_2000
INTERFACE_SIZE: Final[u64] = 0x2000

CTLR: Final[u64] = 0x000
TYPER: Final[u64] = 0x004
IGROUPR: Final[u64] = 0x080
ISENABLER: Final[u64] = 0x100
ICENABLER: Final[u64] = 0x180
ICPENDR: Final[u64] = 0x280
ICACTIVER: Final[u64] = 0x380
IPRIORITYR: Final[u64] = 0x400
ITARGETSR: Final[u64] = 0x800
SGIR: Final[u64] = 0xF00
CPENDSGIR: Final[u64] = 0xF10

INTERFACE_CTLR: Final[u64] = INTERFACE + 0x00
PMR: Final[u64] = INTERFACE + 0x04
BPR: Final[u64] = INTERFACE + 0x08
IAR: Final[u64] = INTERFACE + 0x0C
EOIR: Final[u64] = INTERFACE + 0x10
APR: Final[u64] = INTERFACE + 0xD0
DIR: Final[u64] = INTERFACE + 0x1000

ENABLE: Final[u32] = 1
FIRST_CPU: Final[u32] = 0x0101_0101  # four interrupts' target
SGI_WORDS: Final = 4


class GicV2(Controller):
    lines: u32  # interrupts that the distributor has

    def init(self) -> None:
        self.lines = min(32 * ((read32(DISTRIBUTOR + TYPER) & 0x1F) + 1), FIRST_SPECIAL)
        write32(DISTRIBUTOR + CTLR, 0)
        for word in bounded(1, self.lines // 32, 32):
            self._quieten(u64(word))
        for number in bounded(FIRST_SHARED // 4, self.lines // 4, FIRST_SPECIAL // 4):
            write32(DISTRIBUTOR + ITARGETSR + u64(number) * 4, FIRST_CPU)
        write32(DISTRIBUTOR + CTLR, ENABLE)

    def init_cpu(self) -> None:
        for i in range(SGI_WORDS):
            write32(DISTRIBUTOR + CPENDSGIR + u64(i) * 4, EVERY)
        self._quieten(0)
        write32(APR, 0)
        write32(PMR, 0xFF)
        write32(BPR, 0)
        write32(INTERFACE_CTLR, ENABLE)

    def enable(self, intid: u32) -> None:
        write32(DISTRIBUTOR + ISENABLER + u64(intid // 32) * 4, u32(1) << intid % 32)

    def acknowledge(self) -> u64:
        return u64(read32(IAR))

    def end(self, acknowledged: u64) -> None:
        write32(EOIR, u32(acknowledged))
        complete_all()

    def _quieten(self, word: u64) -> None:
        """32 interrupts: off, neither pending nor active, group 0, of one priority."""
        write32(DISTRIBUTOR + ICENABLER + word * 4, EVERY)
        write32(DISTRIBUTOR + ICPENDR + word * 4, EVERY)
        write32(DISTRIBUTOR + ICACTIVER + word * 4, EVERY)
        write32(DISTRIBUTOR + IGROUPR + word * 4, 0)
        for i in range(8):
            write32(DISTRIBUTOR + IPRIORITYR + word * 32 + u64(i) * 4, PRIORITY)


gicv2: Final = GicV2()
