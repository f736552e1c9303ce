"""What the CPU says that it is and can do (CPUID; Intel SDM 2A, AMD APM 3 appendix E).

A leaf that the CPU does not have reads as zeros: asking needs no look at the highest leaf first.
"""

from hv.lang import Final, asm, u32

EXTENDED: Final[u32] = 0x8000_0000
LEAST_ADDRESS_BITS: Final[u32] = 36  # of a CPU that does not say (Intel SDM 3A, 4.1.4)
MOST_ADDRESS_BITS: Final[u32] = 52
HYPERVISOR: Final[u32] = 0x4000_0000  # the leaf in which one that runs below names itself


@asm("cpuid", leaf="rax", subleaf="rcx", results="rax rbx rcx rdx")
def cpuid(leaf: u32, subleaf: u32) -> tuple[u32, u32, u32, u32]: ...


class Leaf:
    eax: u32
    ebx: u32
    ecx: u32
    edx: u32

    def read(self, leaf: u32, subleaf: u32 = 0) -> None:
        highest, _, _, _ = cpuid(leaf & EXTENDED, 0)
        if highest & EXTENDED != leaf & EXTENDED or highest < leaf:
            self.eax = 0
            self.ebx = 0
            self.ecx = 0
            self.edx = 0
            return
        self.eax, self.ebx, self.ecx, self.edx = cpuid(leaf, subleaf)


class Features:
    """Of the boot CPU; the others are expected to be the same."""

    address_bits: u32  # of physical addresses
    pages_1g: bool
    smep: bool
    smap: bool
    umip: bool
    machine_check: bool
    tsc_deadline: bool
    tsc_adjust: bool
    xsave: bool
    hypervisor: bool  # another one runs below
    tcg: bool  # it is QEMU without hardware's help


features: Final = Features()


def find_features() -> None:
    leaf = Leaf()
    leaf.read(1)
    features.machine_check = leaf.edx & 1 << 7 != 0
    features.tsc_deadline = leaf.ecx & 1 << 24 != 0
    features.xsave = leaf.ecx & 1 << 26 != 0
    features.hypervisor = leaf.ecx & 1 << 31 != 0
    features.tcg = features.hypervisor and _is_tcg()
    leaf.read(7)
    features.tsc_adjust = leaf.ebx & 1 << 1 != 0
    features.smep = leaf.ebx & 1 << 7 != 0
    features.smap = leaf.ebx & 1 << 20 != 0
    features.umip = leaf.ecx & 1 << 2 != 0
    leaf.read(EXTENDED + 1)
    features.pages_1g = leaf.edx & 1 << 26 != 0
    leaf.read(EXTENDED + 8)
    features.address_bits = min(leaf.eax & 0xFF, MOST_ADDRESS_BITS) if leaf.eax != 0 else LEAST_ADDRESS_BITS


def _is_tcg() -> bool:
    """Whether the hypervisor below has QEMU's signature, "TCGTCGTCGTCG"."""
    _, ebx, ecx, edx = cpuid(HYPERVISOR, 0)
    return ebx == 0x5447_4354 and ecx == 0x4354_4743 and edx == 0x4743_5447
