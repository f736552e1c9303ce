"""Physical interrupts: whose they are, and handing them to their owners.

An interrupt is claimed once, by number (controller.py). Ending takes two steps (EOImode 1): the priority drops before
the handler runs, and the interrupt is deactivated behind it. One that is forwarded to a guest is left active: it cannot
come again until the guest ends its virtual twin.

Claiming is done at boot and when a device is handed out; `Interrupts.lock` protects the table and the controller's
registers that hold several interrupts' settings. Handlers run with interrupts masked and without a lock.
"""

from hv.arm64.controller import FIRST_PRIVATE, FIRST_SHARED, FIRST_SPECIAL, Trigger, gic
from hv.arm64.sysreg import ISR_EL1, InterruptStatus
from hv.common.kernel.log import warning
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.trace import trace_irq, trace_time, tracing
from hv.common.lib.fdt import MAX_ENTRIES, Node, Property
from hv.lang import Callable, Errno, Final, PerCpu, array, bounded, raises, rarely, u32, value

CELLS: Final[u32] = 3  # that the GIC has for an interrupt
MAX_AT_ONCE: Final = 16  # interrupts taken before a guest, or the idle loop, goes on


class Line:
    handler: Callable[[u32], None]
    trigger: Trigger
    claimed: bool
    forwarded: bool


class Taken(PerCpu):
    """How often this CPU took each interrupt, modulo 2**32."""

    counts: array[u32, FIRST_SPECIAL]


class Interrupts:
    lock: SpinLock[Rank.INTERRUPT]
    lines: array[Line, FIRST_SPECIAL]

    @raises
    def claim(
        self,
        intid: u32,
        trigger: Trigger,
        handler: Callable[[u32], None],
        forwarded: bool = False,
        enabled: bool = True,
    ) -> None:
        """Calls `handler` with the number from now on; on this CPU when the interrupt is shared, on each when it is
        its own.

        `forwarded`: the handler gives it to a guest, which deactivates it. Without `enabled` it stays masked. EINVAL:
        no such interrupt. EBUSY: it has an owner."""
        if not gic.driver.supports(intid):
            raise Errno.EINVAL
        with self.lock:
            line = self.lines[intid]
            if line.claimed:
                raise Errno.EBUSY
            line.handler = handler
            line.trigger = trigger
            line.forwarded = forwarded
            line.claimed = True
            gic.driver.configure(intid, trigger)
            if enabled:
                gic.driver.enable(intid)

    def route(self, intid: u32, cpu: u32) -> None:
        """Lets a shared interrupt come to one CPU, which has been started."""
        with self.lock:
            gic.driver.route(intid, cpu)

    def start_cpu(self) -> None:
        """For each CPU but the first: whatever was claimed of its own."""
        gic.driver.start_cpu()
        for intid in range(FIRST_SHARED):
            if self.lines[intid].claimed:
                with self.lock:
                    gic.driver.configure(intid, self.lines[intid].trigger)
                    gic.driver.enable(intid)

    def take(self) -> None:
        """Hands out what is pending for this CPU. What remains after many comes again at once, so the CPU's other work
        gets its turn. So does what ISR_EL1 does not show yet: it spares the controller's answer that there is no more.
        """
        if self._take_one():
            self._take_more()

    @rarely
    def _take_more(self) -> None:
        for _ in range(1, MAX_AT_ONCE):
            if not self._take_one():
                return

    def _take_one(self) -> bool:
        """Whether there is another."""
        intid = gic.driver.acknowledge()
        if intid >= FIRST_SPECIAL:
            return False
        Taken.this().counts[intid] += 1
        if tracing():
            self._hand_out_traced(intid)
        else:
            self._hand_out(intid)
        return InterruptStatus(ISR_EL1.read()).interrupt

    def _hand_out(self, intid: u32) -> None:
        gic.driver.end(intid)
        line = self.lines[intid]
        if line.claimed:
            line.handler(intid)
        else:
            self._disown(intid)
        if not line.forwarded:
            gic.driver.deactivate(intid)

    @rarely
    def _hand_out_traced(self, intid: u32) -> None:
        began = trace_time()
        self._hand_out(intid)
        trace_irq(intid, began)

    @rarely
    def _disown(self, intid: u32) -> None:
        gic.driver.disable(intid)
        warning(f"interrupt {intid} has no owner: disabled")


interrupts: Final = Interrupts()


@value
class InterruptSpec:
    intid: u32
    trigger: Trigger


@raises
def interrupt_of(node: Node, index: u32) -> InterruptSpec:
    """What a node says of one of its interrupts, in the GIC's three cells: kind, number, flags. EINVAL: malformed, not
    so many, or the interrupt of another controller.

    Source: Linux Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml."""
    listed = node.property("interrupts-extended")
    at = extended_place(node, listed, index)
    if not listed.found:
        listed = node.property("interrupts")
        at = CELLS * index
    return interrupt_at(listed, at)


@raises
def interrupt_at(listed: Property, first: u32) -> InterruptSpec:
    """The cells from `first` on. EINVAL: malformed, or not so many."""
    kind = listed.cell(first)
    number = listed.cell(first + 1)
    flags = listed.cell(first + 2)
    trigger = Trigger.EDGE if flags & 3 != 0 else Trigger.LEVEL
    if kind == 0 and number < FIRST_SPECIAL - FIRST_SHARED:
        return InterruptSpec(FIRST_SHARED + number, trigger)
    if kind == 1 and number < FIRST_SHARED - FIRST_PRIVATE:
        return InterruptSpec(FIRST_PRIVATE + number, trigger)
    raise Errno.EINVAL


@raises
def extended_place(node: Node, listed: Property, index: u32) -> u32:
    """The first cell of an entry of `interrupts-extended`, behind the phandle of its controller, which says how many
    cells there are; 0 where the property is not found. EINVAL, as above.

    Source: Devicetree Specification 0.4, 2.4.1."""
    if not listed.found:
        return 0
    if index >= listed.count:
        raise Errno.EINVAL
    at: u32 = 0
    for _ in bounded(index, MAX_ENTRIES):
        at += 1 + interrupt_cells(node, listed.cell(at))
    if interrupt_cells(node, listed.cell(at)) != CELLS:
        raise Errno.EINVAL
    return at + 1


@raises
def interrupt_cells(node: Node, controller: u32) -> u32:
    """How many the controller with this phandle has for an interrupt. EINVAL: there is none, or it does not say."""
    try:
        return node.tree.by_phandle(controller).property("#interrupt-cells").cell()
    except Errno:
        raise Errno.EINVAL from None
