"""What guests may do without coming out: of model-specific registers and ports (AMD APM 2, 15.10 and 15.11).

The maps are the same for all guests. A set bit brings the guest out, and all are set but those of registers that the
hardware switches with the guest.
"""

from hv.arch import physical_address
from hv.common.mm.types import Paddr
from hv.lang import Final, address_of, aligned, array, u32, u64

WORDS: Final = 1024
PORT_WORDS: Final = 1536  # 65,536 ports, and the three behind the last that an access may reach

NO_RANGE: Final[u32] = 0xFFFF_FFFF
OWN: Final[array[u32, 10]] = array(
    0x174,  # SYSENTER_CS, _ESP, _EIP
    0x175,
    0x176,
    0xC000_0081,  # STAR, LSTAR, CSTAR, SFMASK
    0xC000_0082,
    0xC000_0083,
    0xC000_0084,
    0xC000_0100,  # FS.base, GS.base, KernelGSbase
    0xC000_0101,
    0xC000_0102,
)


@aligned(4096)
class RegisterMap:
    """Two bits for each register, the lower for reading: 2 KiB each for registers from 0, C0000000h and C0010000h."""

    words: array[u64, WORDS]

    def close(self) -> None:
        for i in range(WORDS):
            self.words[i] = ~u64(0)

    def open(self, register: u32) -> None:
        """Both ways."""
        bit = bit_of(register)
        assert bit != NO_RANGE, "a register that the map does not know is always intercepted"
        self.words[bit // 64] &= ~(u64(3) << bit % 64)


@aligned(4096)
class PortMap:
    words: array[u64, PORT_WORDS]

    def close(self) -> None:
        for i in range(PORT_WORDS):
            self.words[i] = ~u64(0)


def bit_of(register: u32) -> u32:
    """Of the read permission. NO_RANGE: the map does not know the register."""
    if register <= 0x1FFF:
        return register * 2
    if register - 0xC000_0000 <= 0x1FFF:
        return (register - 0xC000_0000) * 2 + 0x4000
    if register - 0xC001_0000 <= 0x1FFF:
        return (register - 0xC001_0000) * 2 + 0x8000
    return NO_RANGE


registers: Final = RegisterMap()
ports: Final = PortMap()


def prepare_maps() -> None:
    registers.close()
    for register in OWN:
        registers.open(register)
    ports.close()


def registers_at() -> Paddr:
    return physical_address(address_of(registers))


def ports_at() -> Paddr:
    return physical_address(address_of(ports))
