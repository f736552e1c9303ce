"""A guest that answers: it echoes what is typed, and greets with each line.

It proves the serial port's interrupt, its way through the interrupt controller, and sleep without busy waiting. The
line `poweroff` ends it.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.cpu import interrupt_window, wait_for_interrupt
from guests.lib.gicv3 import gic, interrupts
from guests.lib.hypercall import power_off
from guests.lib.text import line
from guests.lib.uart import INTID, uart
from hv.common.lib.text import TextBuffer
from hv.lang import Embedded, Final, export, u8, u64, unbounded

BACKSPACE: Final = 0x08
DELETE: Final = 0x7F


class Editor:
    """The line that is being typed."""

    text: Embedded[TextBuffer[200]]

    def type(self, byte: u8) -> None:
        if byte == ord("\r"):
            uart.put("\n")
            self.answer()
            self.text.clear()
        elif byte == BACKSPACE or byte == DELETE:
            if self.text.length != 0:
                self.text.length -= 1
                uart.put("\b \b")
        else:
            uart.put_byte(byte)
            self.text.put_byte(byte)

    def answer(self) -> None:
        typed = self.text.text
        if typed == "poweroff":
            power_off()
        line(f"hello, {typed}")


editor: Final = Editor()


@interrupts.entry(intid=INTID)
@unbounded("ends when nothing more was typed")
def typed() -> None:
    uart.acknowledge()
    while uart.ready():
        editor.type(uart.get())


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
