"""Debug key `i`: the interrupts that have an owner: whose they are, where they go, and how often each CPU took them.

What the controller says of an interrupt of each CPU's own is what it says to the CPU that asks. No lock is taken: what
is shown may be a moment old.
"""

from hv.arm64.controller import FIRST_PRIVATE, FIRST_SHARED, FIRST_SPECIAL, Trigger, gic
from hv.arm64.interrupts import Taken, interrupts
from hv.arm64.spis import owner_of
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.symbols import write_place
from hv.common.kernel.work import Progress
from hv.common.lib.text import TextBuffer
from hv.lang import Final, address_of, bounded, u32

TEXT: Final = 240


@keys.entry(character="i", help="shows the interrupts", shows=True)
def show_interrupts(output: Output) -> Progress:
    for intid in bounded(output.row, FIRST_SPECIAL, FIRST_SPECIAL):
        if interrupts.lines[intid].claimed:
            show_interrupt(intid)
            output.row = intid + 1
            return Progress.MORE
    return Progress.DONE


def show_interrupt(intid: u32) -> None:
    line = interrupts.lines[intid]
    state = gic.driver.state(intid)
    text = TextBuffer[TEXT]()
    text.write(f"interrupt {intid}: {'edge' if line.trigger == Trigger.EDGE else 'level'}")
    if intid < FIRST_PRIVATE:
        text.put(", between CPUs")
    elif intid < FIRST_SHARED:
        text.put(", of each CPU")
    else:
        text.write(f", to CPU {state.cpu}")
    if line.forwarded and intid < FIRST_SHARED:
        text.put(", for the guest that runs")
    elif line.forwarded:
        owner = owner_of(intid)
        text.write(f", for {owner.name}" if owner is not None else ", for a guest that is gone")
    text.put(", enabled" if state.enabled else ", masked")
    if state.pending:
        text.put(", pending")
    if state.active:
        text.put(", active")
    text.put(", ")
    write_place(text, address_of(line.handler))
    text.put(", taken")
    for cpu in online:
        text.write(f" {Taken.on(cpu).counts[intid]}")
    console.print(f"{text.text}")
