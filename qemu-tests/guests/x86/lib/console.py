"""The console's rings (public/io/console.h): bytes each way, in a page that the domain's parameters name, and a port.

Each index counts all bytes ever; its low bits are the place in the ring.
"""

from guests.x86.lib.cpu import pause, read32, write32
from guests.x86.lib.events import Channel, get_param
from hv.common.lib.format import Sink
from hv.lang import Embedded, Final, bounded, ptr, u8, u32, u64, unbounded

CONSOLE_PFN: Final[u32] = 17
CONSOLE_EVTCHN: Final[u32] = 18
IN_BYTES: Final[u32] = 1024
OUT: Final[u64] = 1024
OUT_BYTES: Final[u32] = 2048
IN_CONS: Final[u64] = 3072
IN_PROD: Final[u64] = 3076
OUT_CONS: Final[u64] = 3080
OUT_PROD: Final[u64] = 3084
LONGEST: Final = 1 << 16  # bytes written in one call


class Console(Sink):
    """`flush` has to follow what was put."""

    page: u64
    channel: Embedded[Channel]

    def init(self) -> bool:
        """False: there is none."""
        self.page = get_param(CONSOLE_PFN) << 12
        self.channel.port = u32(get_param(CONSOLE_EVTCHN))
        return self.page != 0 and self.channel.port != 0

    def ready(self) -> bool:
        """Whether there is a byte to get."""
        return read32(self.page + IN_PROD) != read32(self.page + IN_CONS)

    def get(self) -> u8:
        at = read32(self.page + IN_CONS)
        byte = ptr[u8](self.page + u64(at % IN_BYTES))[0]
        write32(self.page + IN_CONS, at + 1)
        return byte

    @unbounded("the other side takes what was written")
    def put_byte(self, byte: u8) -> None:
        at = read32(self.page + OUT_PROD)
        while at - read32(self.page + OUT_CONS) == OUT_BYTES:
            self.flush()
            pause()
        ptr[u8](self.page + OUT + u64(at % OUT_BYTES))[0] = byte
        write32(self.page + OUT_PROD, at + 1)

    def put(self, text: str) -> None:
        for i in bounded(len(text), LONGEST):
            self.put_byte(ord(text[i]))

    def flush(self) -> None:
        """Tells the other side that there is something to take, or room again."""
        self.channel.raise_event()


console: Final = Console()
