"""Debug key `i`: the interrupts that have an owner: whose they are, where they go, and how often each CPU took them.

The I/O APICs are read under the interrupts' lock, which is only attempted: a CPU that is stuck may hold it.
"""

from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.symbols import write_place
from hv.common.kernel.work import Progress
from hv.common.lib.text import TextBuffer
from hv.lang import Final, address_of, bounded, u32
from hv.x86.interrupts import VECTORS, Claim, Taken, interrupts
from hv.x86.ioapic import Redirection, io_apics
from hv.x86.vectors import KICK, TIMER

TEXT: Final = 240


@keys.entry(character="i", help="shows the interrupts", shows=True)
def show_interrupts(output: Output) -> Progress:
    for vector in bounded(output.row, VECTORS, VECTORS):
        if interrupts.claims[vector].claimed or vector in (u32(KICK), u32(TIMER)):
            show_interrupt(vector)
            output.row = vector + 1
            return Progress.MORE
    return Progress.DONE


def show_interrupt(vector: u32) -> None:
    text = TextBuffer[TEXT]()
    text.write(f"vector {vector:#x}: ")
    if vector == u32(KICK):
        text.put("between CPUs")
    elif vector == u32(TIMER):
        text.put("timer of each CPU")
    else:
        write_claim(text, interrupts.claims[vector])
    text.put(", taken")
    for cpu in online:
        text.write(f" {Taken.on(cpu).counts[vector]}")
    console.print(f"{text.text}")


def write_claim(text: TextBuffer[TEXT], claim: Claim) -> None:
    text.write(f"interrupt {claim.gsi}")
    apic = io_apics.find(claim.gsi)
    if apic is not None:
        redirection = Redirection(0)
        with interrupts.lock.attempt() as attempt:
            locked = attempt.won
            if locked:
                redirection = apic.get(claim.gsi - apic.first)
        if not locked:
            text.put(", locked for long")
        else:
            text.write(f", input {claim.gsi - apic.first} of the I/O APIC at {apic.first}")
            text.put(", level" if redirection.level else ", edge")
            text.put(", active low" if redirection.active_low else ", active high")
            text.write(f", to APIC ID {redirection.destination}")
            text.put(", masked" if redirection.masked else ", enabled")
    text.put(", ")
    write_place(text, address_of(claim.handler))
