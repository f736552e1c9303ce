"""What of the machine that a guest is played lies where in its map."""

from hv.arch import GUEST_LOWER
from hv.common.builder.description import Description
from hv.common.mm.types import Gaddr
from hv.lang import Final, Protocol, u32


class GuestParts(Protocol):
    """What the architecture knows of it, of a domain whose memory has been read."""

    def part_at(self, description: Description, start: Gaddr, end: Gaddr) -> str:
        """What of it lies at these addresses, in words. Empty: nothing."""
        ...

    def uart_interrupt(self, description: Description) -> u32:
        """Of the UART that the guest is played."""
        ...

    def most_vcpus(self, description: Description) -> u32:
        """For how many there is room at the machine's places, if the guest has its controller there; its own number
        when that does not matter."""
        ...


class GuestPart:
    """None: the architecture tells nothing."""

    parts: GuestParts | None


guest_machine: Final = GuestPart()


def guest_part(description: Description, start: Gaddr, end: Gaddr) -> str:
    """In words; empty: nothing. What cannot be asked may have all below the usual place of memory."""
    parts = guest_machine.parts
    if parts is not None:
        return parts.part_at(description, start, end)
    return "a device" if start < GUEST_LOWER else ""


def uart_interrupt(description: Description) -> u32:
    """0: the guest has no UART."""
    parts = guest_machine.parts
    return 0 if parts is None or not description.uart else parts.uart_interrupt(description)


def most_vcpus(description: Description) -> u32:
    parts = guest_machine.parts
    return description.vcpus if parts is None else parts.most_vcpus(description)
