"""The guest's interrupt controller, whichever it has: the CPU says whether it reaches one by system registers."""

from guests.lib.controller import FIRST_SPECIAL, Controller, interrupts, taken
from guests.lib.cpu import complete_all, cpu
from guests.lib.gicv2 import gicv2
from guests.lib.gicv3 import gicv3
from hv.lang import Final, SystemRegister, u32, u64

ID_AA64PFR0_EL1: Final = SystemRegister("id_aa64pfr0_el1")
BY_REGISTERS: Final[u64] = 0xF << 24  # GIC (Arm DDI 0487, D19.2.64)
INTID: Final[u64] = 0x3FF


class Gic:
    """`init` comes first."""

    controller: Controller

    def init(self) -> None:
        if has_registers():
            self.controller = gicv3
        else:
            self.controller = gicv2
        self.controller.init()

    def init_cpu(self) -> None:
        self.controller.init_cpu()

    def enable(self, intid: u32) -> None:
        self.controller.enable(intid)


gic: Final = Gic()


def has_registers() -> bool:
    """It is a GICv3."""
    return ID_AA64PFR0_EL1.read() & BY_REGISTERS != 0


def take_interrupt() -> None:
    """Takes the interrupt that the CPU was interrupted for; there may be none left."""
    acknowledged = gic.controller.acknowledge()
    complete_all()
    intid = acknowledged & INTID
    if intid >= FIRST_SPECIAL:
        return
    taken[cpu()] += 1
    for interrupt in interrupts:
        if u64(interrupt.intid) == intid:
            interrupt.take()
    complete_all()
    gic.controller.end(acknowledged)
