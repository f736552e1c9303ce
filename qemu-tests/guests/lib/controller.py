"""What a guest's interrupt controllers have in common, and who takes their interrupts."""

from guests.lib.cpu import CPUS
from guests.lib.ending import give_up
from guests.lib.mmio import read32
from hv.lang import Callable, Final, Protocol, Registry, array, u32, u64, value

DISTRIBUTOR: Final[u64] = 0x0300_1000
FIRST_SHARED: Final = 32
FIRST_SPECIAL: Final = 1020
EVERY: Final[u32] = 0xFFFF_FFFF
PRIORITY: Final[u32] = 0xA0A0_A0A0  # four interrupts'
PATIENCE: Final = 1_000_000  # reads of a register whose bit should change


class Controller(Protocol):
    def init(self) -> None:
        """All interrupts off, routed here. Also brings it back from whatever was written to its registers."""
        ...

    def init_cpu(self) -> None:
        """This CPU's part: its private interrupts off, and no interrupt active here."""
        ...

    def enable(self, intid: u32) -> None:
        """A private interrupt is this CPU's."""
        ...

    def acknowledge(self) -> u64:
        """The number in its low ten bits, and what else `end` has to know."""
        ...

    def end(self, acknowledged: u64) -> None: ...


@value
class Interrupt:
    intid: u32
    take: Callable[[], None]


interrupts: Final = Registry[Interrupt]()
taken: Final[array[u64, CPUS]] = array()  # by each CPU, of all numbers


def wait_for_zero(register: u64, bit: u32) -> None:
    for _ in range(PATIENCE):
        if read32(register) & bit == 0:
            return
    give_up("the interrupt controller never becomes ready")
