"""The simulated machine's serial port and the guests at the console, for the tests of the console.

`port` keeps what is printed (machine.py); it also copies it to the process's standard error when `echo` is set, so that
a panic that ends the process can be read.
"""

from hv.common.kernel.console import ConsoleClient, GuestConsole, SerialPort, console
from hv.common.lib.ring import Ring
from hv.lang import Final, address_of, array, extern, i32, i64, u8, u32, u64
from hv.sim import machine

STANDARD_ERROR: Final[i32] = 2
GUESTS: Final = 4
TYPED: Final = 64


class SimulatedPort(SerialPort):
    echo: bool
    byte: array[u8, 1]

    def put(self, byte: u8) -> None:
        machine.put(byte)
        if self.echo:
            self.byte[0] = byte
            __write(STANDARD_ERROR, address_of(self.byte), 1)


class SimulatedGuest(ConsoleClient):
    console: GuestConsole
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


@extern
def __write(file: i32, address: u64, length: u64) -> i64:
    """The C library's."""
