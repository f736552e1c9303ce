"""What is typed on the console: from the UART's interrupt to the guest that has the focus, or to a debug key.

The switch character (Ctrl-A) three times in a row moves the focus on. One or two of them before another character are
passed on with it. `conswitch=<letter>` chooses another character; with an `x` behind it the first guest does not get
the focus by itself, as in Xen.

The UART interrupts one CPU, which also runs the softirq, both with interrupts masked: the ring needs no lock.
"""

from hv.common.kernel.console import console
from hv.common.kernel.keys import press
from hv.common.kernel.options import options
from hv.common.kernel.softirq import Softirq, handlers, raise_softirq
from hv.common.lib.ring import Ring
from hv.lang import Final, bounded, u8, u32, unbounded

TYPED_AHEAD: Final = 256
SWITCH_COUNT: Final = 3
CONTROL: Final = 0x1F  # what the control key leaves of a letter
LOWER_CASE: Final = 0x20


class ConsoleInput:
    typed: Ring[u8, TYPED_AHEAD]
    held_back: u32  # switch characters in a row

    def take(self, byte: u8) -> None:
        """A byte that was typed: held back, passed on, or the last of a switch."""
        if byte == switch_character:
            self.held_back += 1
            if self.held_back == SWITCH_COUNT:
                self.held_back = 0
                console.turn()
            return
        for _ in bounded(self.held_back, SWITCH_COUNT):
            pass_on(switch_character)
        self.held_back = 0
        pass_on(byte)


console_input: Final = ConsoleInput()
switch_character: u8 = 0x01  # Ctrl-A; 0: there is no switching


def pass_on(byte: u8) -> None:
    if not console.deliver(byte):
        press(byte)


def received(byte: u8) -> None:
    """For the UART's interrupt handler. What there is no room for is dropped."""
    console_input.typed.put(byte)
    raise_softirq(Softirq.CONSOLE)


@handlers.entry(softirq=Softirq.CONSOLE)
@unbounded("ends with what was typed")
def deliver_typed() -> None:
    while not console_input.typed.empty:
        console_input.take(console_input.typed.get())


@options.entry(name="conswitch")
def conswitch(text: str) -> bool:
    global switch_character
    if len(text) == 0 or len(text) > 2 or (len(text) == 2 and text[1] != "x"):
        return False
    letter = ord(text[0]) | LOWER_CASE
    if letter < ord("a") or letter > ord("z"):
        return False
    switch_character = letter & CONTROL
    if len(text) == 2:
        console.stay_at_hypervisor()
    return True
