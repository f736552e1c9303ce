"""I/O APICs: where interrupts of devices come in, and which vector of which CPU each becomes (Intel 82093AA, 3.0).

Inputs of all I/O APICs together are the global interrupts, by number.
"""

from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.lang import Bits, Errno, Field, Final, array, bounded, raises, u8, u32, u64
from hv.x86.cpu import read_device32, write_device32

MAX: Final = 64
BYTES: Final[u64] = 0x20
SELECT: Final[u64] = 0x00
WINDOW: Final[u64] = 0x10
VERSION: Final[u32] = 1
REDIRECTION: Final[u32] = 0x10
MOST_INPUTS: Final = 120  # whose registers have numbers of eight bits
NOTHING: Final[u32] = 0xFFFF_FFFF
LARGEST_DESTINATION: Final[u32] = 0xFE  # an APIC ID that eight bits hold


class Redirection(Bits[u64]):
    vector = Field(7, 0, of=u8)
    active_low = Field(13)
    level = Field(15)
    masked = Field(16)
    destination = Field(63, 56)


class IoApic:
    address: u64
    first: u32  # the global interrupt of its input 0
    count: u32

    def read(self, register: u32) -> u32:
        write_device32(self.address + SELECT, register)
        return read_device32(self.address + WINDOW)

    def write(self, register: u32, value: u32) -> None:
        write_device32(self.address + SELECT, register)
        write_device32(self.address + WINDOW, value)

    def set(self, input: u32, redirection: Redirection) -> None:
        """Masked while the halves do not belong together."""
        register = REDIRECTION + input * 2
        self.write(register, u32(Redirection(masked=True).raw))
        self.write(register + 1, u32(redirection.raw >> 32))
        self.write(register, u32(redirection.raw & 0xFFFF_FFFF))

    def get(self, input: u32) -> Redirection:
        register = REDIRECTION + input * 2
        return Redirection(u64(self.read(register)) | u64(self.read(register + 1)) << 32)


class IoApics:
    """Those of the machine. Whoever changes what an input does holds the interrupts' lock."""

    all: array[IoApic, MAX]
    count: u32

    @raises
    def add(self, registers: Paddr, first: u32, windows: RegisterWindows) -> None:
        """Takes one over, all its inputs masked. ENOSPC: too many. ENOMEM. ENODEV: none is there."""
        if self.count == MAX:
            raise Errno.ENOSPC
        apic = self.all[self.count]
        apic.address = windows.map(registers, BYTES)
        version = apic.read(VERSION)
        if version == NOTHING:
            windows.unmap(apic.address)
            raise Errno.ENODEV
        apic.first = first
        apic.count = min((version >> 16 & 0xFF) + 1, MOST_INPUTS)
        for input in bounded(apic.count, MOST_INPUTS):
            apic.set(input, Redirection(masked=True))
        self.count += 1

    def find(self, gsi: u32) -> IoApic | None:
        """The one with the global interrupt. None: there is none."""
        for i in bounded(self.count, MAX):
            apic = self.all[i]
            if gsi >= apic.first and gsi - apic.first < apic.count:
                return apic
        return None


io_apics: Final = IoApics()
