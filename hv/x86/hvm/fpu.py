"""A guest's x87, SSE and further extended state, and which of it the guest has enabled.

The hypervisor's own code uses none of it (the build proves it), so it stays in the hardware from exit to entry and
changes hands as a whole when another vCPU is loaded: no guest sees another's. XCR0 stays the guest's meanwhile, too,
and is read from the hardware when the state is saved, since an emulator may let the guest change it unseen.

Source: Intel SDM 1, 10.5.1 and 13.4.
"""

from hv.arch import direct_address, zero_bytes
from hv.common.mm.heap import heap
from hv.common.mm.types import PAGE_SIZE, Mfn, order_for, paddr_of
from hv.lang import Final, extern, ptr, raises, u32, u64
from hv.x86.cpu import read_xcr0, write_xcr0
from hv.x86.cpuid import features
from hv.x86.hvm.components import SSE, X87, kept_components
from hv.x86.xsave import extended_state

LEGACY_BYTES: Final[u64] = 512
CONTROL_AT_RESET: Final[u64] = 0x40  # FCW after INIT
MXCSR_AT_RESET: Final[u64] = 0x1F80
MXCSR_WORD: Final = 3
HEADER: Final = 64  # XSTATE_BV, in words


class Fpu:
    area: Mfn
    order: u32
    xcr0: u64

    @raises
    def make(self) -> None:
        """ENOMEM."""
        self.order = order_for(max(LEGACY_BYTES, u64(extended_state.bytes)))
        self.area = heap.allocate(self.order)
        self.reset()

    def discard(self) -> None:
        heap.free(self.area, self.order)

    def reset(self) -> None:
        """As after INIT: nothing of anybody's is left."""
        zero_bytes(self._address(), u64(PAGE_SIZE) << self.order)
        words = ptr[u64](self._address())
        words[0] = CONTROL_AT_RESET
        words[MXCSR_WORD] = MXCSR_AT_RESET
        if features.xsave:
            words[HEADER] = X87 | SSE
        self.xcr0 = X87

    def enabled(self) -> u64:
        """XCR0 of a vCPU that is loaded here."""
        return read_xcr0() if features.xsave else X87

    def enable(self, xcr0: u64) -> None:
        """Of one that is loaded here; `fault_of_xsetbv` has said that it may."""
        write_xcr0(xcr0)

    def save(self) -> None:
        if features.xsave:
            self.xcr0 = read_xcr0()
            write_xcr0(kept_components())
            save_extended(self._address(), kept_components())
        else:
            save_legacy(self._address())

    def load(self) -> None:
        if features.xsave:
            write_xcr0(kept_components())
            load_extended(self._address(), kept_components())
            write_xcr0(self.xcr0)
        else:
            load_legacy(self._address())

    def _address(self) -> u64:
        return direct_address(paddr_of(self.area))


@extern
def save_extended(area: u64, components: u64) -> None:
    """boot/x86/fpu.S"""
    ...


@extern
def load_extended(area: u64, components: u64) -> None: ...


@extern
def save_legacy(area: u64) -> None: ...


@extern
def load_legacy(area: u64) -> None: ...
