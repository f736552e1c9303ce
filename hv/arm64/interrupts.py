"""Physical interrupts: whose they are, and handing them to their owners.

An interrupt is claimed once, by number (INTID): 0-15 come from other CPUs, 16-31 are each CPU's own, from 32 on they
are shared. Ending takes two steps (EOImode 1): the priority drops before the handler runs, and the interrupt is
deactivated behind it. One that is forwarded to a guest is left active: it cannot come again until the guest ends its
virtual twin.

Claiming is done at boot and when a device is handed out; `Interrupts.lock` protects the table and the controller's
registers that hold several interrupts' settings. Handlers run with interrupts masked and without a lock.
"""

from hv.common.kernel.log import warning
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.lib.fdt import Node
from hv.lang import Callable, Errno, Final, Protocol, U8Enum, array, raises, u32, value

FIRST_PRIVATE: Final[u32] = 16
FIRST_SHARED: Final[u32] = 32
FIRST_SPECIAL: Final[u32] = 1020  # from here on acknowledging answers that there is none
MAX_AT_ONCE: Final = 16  # interrupts taken before a guest, or the idle loop, goes on


class Trigger(U8Enum):
    LEVEL = 0
    EDGE = 1


class InterruptController(Protocol):
    def start_cpu(self) -> None:
        """Lets this CPU receive interrupts: its own ones that have been claimed, and what is routed to it."""
        ...

    def supports(self, intid: u32) -> bool:
        """Whether the machine's controller has the interrupt."""
        ...

    def configure(self, intid: u32, trigger: Trigger) -> None:
        """Before `enable`. What is each CPU's own is set on this CPU."""
        ...

    def enable(self, intid: u32) -> None:
        """What is each CPU's own is enabled on this CPU."""
        ...

    def disable(self, intid: u32) -> None: ...

    def route(self, intid: u32, cpu: u32) -> None:
        """Lets a shared interrupt come to one CPU."""
        ...

    def acknowledge(self) -> u32:
        """The pending interrupt of the highest priority becomes active. FIRST_SPECIAL or more: there was none."""
        ...

    def end(self, intid: u32) -> None:
        """Others may come; this one not before `deactivate`."""
        ...

    def deactivate(self, intid: u32) -> None: ...

    def activate(self, intid: u32) -> None:
        """Makes one of this CPU's own interrupts active, as if it had been taken: its guest is in the handler."""
        ...


class Line:
    handler: Callable[[u32], None]
    trigger: Trigger
    claimed: bool
    forwarded: bool


class Interrupts:
    lock: SpinLock[Rank.INTERRUPT]
    controller: InterruptController
    lines: array[Line, FIRST_SPECIAL]

    def init(self, controller: InterruptController) -> None:
        self.controller = controller

    @raises
    def claim(self, intid: u32, trigger: Trigger, handler: Callable[[u32], None], forwarded: bool = False) -> None:
        """Calls `handler` with the number from now on; on this CPU when the interrupt is shared, on each when it is
        its own.

        `forwarded`: the handler gives it to a guest, which deactivates it. EINVAL: no such interrupt. EBUSY: it has an
        owner."""
        if not self.controller.supports(intid):
            raise Errno.EINVAL
        with self.lock:
            line = self.lines[intid]
            if line.claimed:
                raise Errno.EBUSY
            line.handler = handler
            line.trigger = trigger
            line.forwarded = forwarded
            line.claimed = True
            self.controller.configure(intid, trigger)
            self.controller.enable(intid)

    def start_cpu(self) -> None:
        """For each CPU but the first: whatever was claimed of its own."""
        self.controller.start_cpu()
        for intid in range(FIRST_SHARED):
            if self.lines[intid].claimed:
                with self.lock:
                    self.controller.configure(intid, self.lines[intid].trigger)
                    self.controller.enable(intid)

    def take(self) -> None:
        """Hands out what is pending for this CPU. What remains after many comes again at once, so the CPU's other work
        gets its turn."""
        for _ in range(MAX_AT_ONCE):
            intid = self.controller.acknowledge()
            if intid >= FIRST_SPECIAL:
                return
            line = self.lines[intid]
            self.controller.end(intid)
            if line.claimed:
                line.handler(intid)
            else:
                self.controller.disable(intid)
                warning(f"interrupt {intid} has no owner: disabled")
            if not line.forwarded:
                self.controller.deactivate(intid)


interrupts: Final = Interrupts()


@value
class InterruptSpec:
    intid: u32
    trigger: Trigger


@raises
def interrupt_of(node: Node, index: u32) -> InterruptSpec:
    """What a node's `interrupts` says, in the GIC's three cells: kind, number, flags. EINVAL: malformed, or not so
    many.

    Source: Linux Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml."""
    listed = node.property("interrupts")
    kind = listed.cell(3 * index)
    number = listed.cell(3 * index + 1)
    flags = listed.cell(3 * index + 2)
    trigger = Trigger.EDGE if flags & 3 != 0 else Trigger.LEVEL
    if kind == 0 and number < FIRST_SPECIAL - FIRST_SHARED:
        return InterruptSpec(FIRST_SHARED + number, trigger)
    if kind == 1 and number < FIRST_SHARED - FIRST_PRIVATE:
        return InterruptSpec(FIRST_PRIVATE + number, trigger)
    raise Errno.EINVAL
