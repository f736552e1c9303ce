"""What the machine's interrupt controller does, and which one it is.

An interrupt has a number (INTID): 0-15 come from other CPUs, 16-31 are each CPU's own, from 32 on they are shared.
Drivers add themselves to `controllers`; the device tree chooses. This module lies below the log and the locks, since
IPIs go through the controller.
"""

from hv.common.lib.fdt import Node
from hv.common.mm.physical import RegisterWindows
from hv.lang import Callable, Final, Protocol, Registry, U8Enum, raises, u32, value

FIRST_PRIVATE: Final[u32] = 16
FIRST_SHARED: Final[u32] = 32
FIRST_SPECIAL: Final[u32] = 1020  # from here on acknowledging answers that there is none
MAINTENANCE: Final[u32] = 25  # as Arm DEN 0029 recommends


class Trigger(U8Enum):
    LEVEL = 0
    EDGE = 1


@value
class LineState:
    """Of an interrupt, as a person wants to know it."""

    enabled: bool
    pending: bool
    active: bool
    cpu: u32  # where one that is shared goes; CONFIG_NR_CPUS: to none that runs


class InterruptController(Protocol):
    @raises
    def init(self, node: Node, windows: RegisterWindows) -> None:
        """Takes over the controller that the node describes. EINVAL: the node is malformed. ENODEV: it is none that the
        driver knows. ENOMEM."""
        ...

    def most_cpus(self) -> u32:
        """How many CPUs it serves."""
        ...

    def start_cpu(self) -> None:
        """Lets this CPU receive interrupts: its own ones that have been claimed, what is routed to it, and IPIs."""
        ...

    def supports(self, intid: u32) -> bool:
        """Whether the machine's controller has the interrupt."""
        ...

    def configure(self, intid: u32, trigger: Trigger) -> None:
        """Before `enable`. What is each CPU's own is set on this CPU; what is shared comes to this CPU."""
        ...

    def enable(self, intid: u32) -> None:
        """What is each CPU's own is enabled on this CPU."""
        ...

    def disable(self, intid: u32) -> None: ...

    def route(self, intid: u32, cpu: u32) -> None:
        """Lets a shared interrupt come to one CPU, which has been started."""
        ...

    def acknowledge(self) -> u32:
        """The pending interrupt of the highest priority becomes active. FIRST_SPECIAL or more: there was none."""
        ...

    def end(self, intid: u32) -> None:
        """Others may come; this one not before `deactivate`. Of the interrupt that was acknowledged last."""
        ...

    def deactivate(self, intid: u32) -> None: ...

    def make_inactive(self, intid: u32) -> None:
        """Deactivates a shared interrupt, whichever CPU has taken it."""
        ...

    def clear_pending(self, intid: u32) -> None:
        """Forgets that a shared interrupt has come, unless it is a level that is still asserted."""
        ...

    def activate(self, intid: u32) -> None:
        """Makes one of this CPU's own interrupts active, as if it had been taken: its guest is in the handler."""
        ...

    def send_ipi(self, intid: u32, cpu: u32) -> None:
        """Interrupt 0 to 15, to a CPU that has been started."""
        ...

    def state(self, intid: u32) -> LineState:
        """One that is each CPU's own is looked at on this CPU."""
        ...

    def virtual_version(self) -> u32:
        """Which version of the architecture its virtual CPU interfaces are of, 2 or 3. 0: it has none for guests."""
        ...

    def maintenance(self) -> u32:
        """The interrupt that each CPU's virtual interface raises."""
        ...


class Gic:
    """The machine's; set before the first interrupt is claimed."""

    driver: InterruptController


gic: Final = Gic()


@value
class ControllerDriver:
    compatible: str
    controller: Callable[[], InterruptController]


controllers: Final = Registry[ControllerDriver]()
