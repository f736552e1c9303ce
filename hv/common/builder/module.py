"""Files that the boot loader has put into memory."""

from hv.arch import direct_address
from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Final, u64, value


@value
class Module:
    """Without bytes: there is none."""

    start: Paddr
    bytes: u64

    @property
    def end(self) -> Paddr:
        return Paddr(self.start + self.bytes)

    @property
    def contents(self) -> Bytes:
        return Bytes(direct_address(self.start), self.bytes) if self.bytes != 0 else Bytes(0, 0)


NO_MODULE: Final = Module(Paddr(0), 0)
