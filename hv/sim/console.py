"""The simulated machine's serial port and guests at the console.

The port keeps what is printed (machine.py). What is printed before `attach` comes then, from the log.
"""

from hv.common.kernel.console import ConsoleClient, GuestConsole, SerialPort, console
from hv.common.lib.ring import Ring
from hv.lang import Embedded, Final, array, u8, u32, u64
from hv.sim import machine

GUESTS: Final = 4
TYPED: Final = 64


class SimulatedPort(SerialPort):
    def put(self, byte: u8) -> None:
        machine.put(byte)


class SimulatedGuest(ConsoleClient):
    console: Embedded[GuestConsole]
    typed: Ring[u8, TYPED]

    def deliver(self, byte: u8) -> None:
        self.typed.put(byte)


port: Final = SimulatedPort()
guests: Final[array[SimulatedGuest, GUESTS]] = array()


def attach() -> None:
    console.attach(port)


def add_guest(number: u32, name: str) -> None:
    """Guest 0 is domain 1."""
    guest = guests[number]
    guest.console.add(number + 1, name, guest)


def remove_guest(number: u32) -> None:
    guests[number].console.remove()


def guest_writes(number: u32, text: str) -> None:
    for i in range(TYPED):
        if u64(i) < len(text):
            guests[number].console.write(ord(text[i]))
