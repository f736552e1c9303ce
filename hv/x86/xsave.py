"""The extended state that XSAVE keeps: which components the CPU has, and how much room they take (CPUID 0DH; Intel SDM
1, 13.2).

The hypervisor uses none itself. CR4.OSXSAVE is on, so that guests may be offered what is found here.
"""

from hv.common.kernel.log import debug
from hv.lang import Final, array, bounded, u32, u64
from hv.x86.cpu import write_xcr0
from hv.x86.cpuid import Leaf, features
from hv.x86.cpustart import cpu_starts
from hv.x86.sysreg import CR4, Control4

LEAF: Final[u32] = 0x0D
COMPONENTS: Final = 63
FIRST_EXTENDED: Final = 2  # the x87 and SSE state lie in the legacy area
LEGACY_BYTES: Final[u32] = 576  # with the header behind it
X87: Final[u64] = 1 << 0
SUPERVISOR: Final[u32] = 1 << 0  # of a component's ecx: IA32_XSS controls it
ALIGNED: Final[u32] = 1 << 1  # in the compacted form it begins on 64 bytes
COMPACT: Final[u32] = 1 << 1  # of subleaf 1's eax: XSAVEC
SUPERVISOR_STATE: Final[u32] = 1 << 3  # XSAVES


class Component:
    bytes: u32
    offset: u32  # in the standard form
    supervisor: bool
    aligned: bool


class ExtendedState:
    mask: u64  # of components that XCR0 may enable
    supervisor_mask: u64  # that IA32_XSS may
    bytes: u32  # for all of `mask`, in the standard form
    has_compact: bool
    has_supervisor: bool
    components: array[Component, COMPONENTS]

    def find(self) -> None:
        leaf = Leaf()
        leaf.read(LEAF)
        self.mask = u64(leaf.eax) | u64(leaf.edx) << 32
        self.bytes = leaf.ecx
        leaf.read(LEAF, 1)
        self.has_compact = leaf.eax & COMPACT != 0
        self.has_supervisor = leaf.eax & SUPERVISOR_STATE != 0
        self.supervisor_mask = u64(leaf.ecx) | u64(leaf.edx) << 32 if self.has_supervisor else 0
        for i in bounded(FIRST_EXTENDED, COMPONENTS, COMPONENTS):
            if (self.mask | self.supervisor_mask) >> i & 1 != 0:
                leaf.read(LEAF, u32(i))
                self.components[i].bytes = leaf.eax
                self.components[i].offset = leaf.ebx
                self.components[i].supervisor = leaf.ecx & SUPERVISOR != 0
                self.components[i].aligned = leaf.ecx & ALIGNED != 0

    def compact_bytes(self, mask: u64) -> u32:
        """For the components of a mask, in the compacted form (13.4.3)."""
        total: u32 = LEGACY_BYTES
        for i in bounded(FIRST_EXTENDED, COMPONENTS, COMPONENTS):
            if mask >> i & 1 != 0:
                if self.components[i].aligned:
                    total = total + 63 & ~u32(63)
                total += self.components[i].bytes
        return total


extended_state: Final = ExtendedState()


@cpu_starts.entry()
def start_xsave() -> None:
    """On each CPU."""
    if not features.xsave:
        return
    control = Control4(CR4.read())
    control.xsave = True
    CR4.write(control.raw)
    write_xcr0(X87)


def find_extended_state() -> None:
    """On the boot CPU."""
    if not features.xsave:
        return
    extended_state.find()
    mask = extended_state.mask
    room = extended_state.compact_bytes(mask | extended_state.supervisor_mask)
    debug(f"XSAVE: components {mask:#x}, {extended_state.bytes} bytes, compacted {room}")
