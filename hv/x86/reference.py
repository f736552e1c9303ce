"""Clocks of a known speed, which others are measured against."""

from hv.common.mm.physical import RegisterWindows
from hv.lang import Protocol, u64


class ReferenceClock(Protocol):
    def name(self) -> str: ...

    def frequency(self) -> u64:
        """Hz."""
        ...

    def mask(self) -> u64:
        """The count goes up to here and begins anew."""
        ...

    def read(self) -> u64: ...

    def leave(self, windows: RegisterWindows) -> None:
        """It is read no more: its registers need no address. `windows` are those that it was made ready with."""
        ...
