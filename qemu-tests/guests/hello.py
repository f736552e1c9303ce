"""A guest that answers: it echoes what is typed, and greets with each line.

It proves the serial port's interrupt, its way through the interrupt controller, and sleep without busy waiting. The
line `poweroff` ends it.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.controller import interrupts
from guests.lib.cpu import interrupt_window, wait_for_interrupt
from guests.lib.editor import Editor
from guests.lib.gic import gic
from guests.lib.hypercall import power_off
from guests.lib.text import line
from guests.lib.uart import INTID, uart
from hv.lang import Final, export, u64, unbounded

editor: Final = Editor()


def answer(typed: str) -> None:
    if typed == "poweroff":
        power_off()
    line(f"hello, {typed}")


@interrupts.entry(intid=INTID)
@unbounded("ends when nothing more was typed")
def typed() -> None:
    uart.acknowledge()
    while uart.ready():
        if editor.type(uart.get(), uart):
            answer(editor.text.text)
            editor.clear()


@export
@unbounded("until it is switched off")
def guest_main(tree: u64) -> None:
    uart.init()
    gic.init()
    gic.init_cpu()
    gic.enable(INTID)
    uart.receive_interrupts()
    line("READY hello")
    while True:
        wait_for_interrupt()
        interrupt_window()
