"""What a domain's CPUs are said to be: CPUID, kept leaf by leaf for each domain, and masks of features by word.

A leaf that nobody takes in stays zero, and so does every feature that no mask names. What depends on the vCPU and its
moment (its number, what it has enabled) is put in when it asks (cpuid_answers.py).

Sources: Intel SDM 2A (CPUID), AMD APM 3 appendix E; which features a guest can have by itself follows from what the
hypervisor switches between guests.
"""

from hv.lang import Final, array, bounded, leading_zeros, u32
from hv.x86.cpuid import EXTENDED, Leaf

BASIC: Final = 14
EXTENDED_LEAVES: Final = 9
SUBLEAVES_7: Final = 2
COMPONENTS: Final = 10  # of XSAVE, that a guest may have

FEATURES_1D: Final[u32] = 0x178B_EBFF & ~u32(1 << 12 | 1 << 28)
"""FPU to SSE2, but for memory type ranges; whether there are several threads `arrange` says."""
FEATURES_1C: Final[u32] = (
    1 << 0 | 1 << 1 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 25 | 1 << 26 | 7 << 28
)
"""SSE3, PCLMULQDQ, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE, AVX, F16C, RDRAND."""
PLAYED_1C: Final[u32] = 1 << 21 | 1 << 24 | u32(1) << 31
"""What the hypervisor plays whatever the CPU has: x2APIC, TSC deadline; and that it is one."""
FEATURES_7B: Final[u32] = (
    1 << 0 | 1 << 3 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21
) | (1 << 23 | 1 << 24 | 1 << 28 | 1 << 29 | 1 << 30 | u32(1) << 31)
"""FSGSBASE, BMI1, AVX2, SMEP, BMI2, ERMS, AVX-512, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA."""
FEATURES_7C: Final[u32] = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 16
"""AVX-512's later parts, UMIP, PKU, VAES, VPCLMULQDQ, five levels of tables."""
FEATURES_E1C: Final[u32] = 1 << 0 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 16 | 1 << 21
"""LAHF, CR8 by LOCK, ABM, SSE4A, misaligned SSE, PREFETCH, XOP, FMA4, TBM."""
FEATURES_E1D: Final[u32] = (
    FEATURES_1D & 0x0183_F3FF | 1 << 11 | 1 << 20 | 1 << 22 | 1 << 25 | 1 << 26 | 1 << 27 | 1 << 29
)
"""SYSCALL, no-execute, the later MMX, FXSAVE's short form, 1 GiB pages, RDTSCP, long mode."""
INVARIANT_TSC: Final[u32] = 1 << 8
XSAVE_FORMS: Final[u32] = 1 << 0 | 1 << 1 | 1 << 2  # XSAVEOPT, XSAVEC, XGETBV with ECX = 1
ADDRESS_SIZES: Final[u32] = 0xFFFF
RDTSCP: Final[u32] = 1 << 27
SEVERAL: Final[u32] = 1 << 28  # HTT: a package has more than one thread
MOST_THREADS: Final[u32] = 255  # that leaf 1 can tell


class CpuidPolicy:
    highest: u32
    highest_extended: u32
    basic: array[Leaf, BASIC]
    features7: array[Leaf, SUBLEAVES_7]
    components: array[Leaf, COMPONENTS]
    extended: array[Leaf, EXTENDED_LEAVES]

    def init(self, offered: u32, vcpus: u32) -> None:
        """From this CPU. `offered` are the components of XCR0 that guests may enable."""
        leaf = Leaf()
        for number in range(BASIC):
            leaf.read(u32(number))
            self.take(u32(number), 0, leaf, offered)
        leaf.read(7, 1)
        self.take(7, 1, leaf, offered)
        for component in range(COMPONENTS):
            leaf.read(0xD, u32(component))
            self.take(0xD, u32(component), leaf, offered)
        for number in range(EXTENDED_LEAVES):
            leaf.read(EXTENDED + u32(number))
            self.take(EXTENDED + u32(number), 0, leaf, offered)
        self.arrange(vcpus)

    def arrange(self, vcpus: u32) -> None:
        """All vCPUs are cores of one package, as in Xen's guests: the numbers of their local APICs count by two, as if
        each had a second thread that is not there. Behind `take`.
        """
        threads = 2 * vcpus
        first = self.basic[1]
        first.ebx = first.ebx & 0xFFFF | min(threads, MOST_THREADS) << 16
        first.edx |= SEVERAL
        self.extended[8].ecx = package_bits(vcpus) << 12 | threads - 1

    def take(self, number: u32, subleaf: u32, found: Leaf, offered: u32) -> None:
        """Takes in what a CPU says, as far as guests may know of it."""
        match number:
            case 0:
                self.highest = min(found.eax, BASIC - 1)
                store(self.basic[0], self.highest, found.ebx, found.ecx, found.edx)
            case 1:
                ecx = found.ecx & FEATURES_1C | PLAYED_1C
                store(self.basic[1], found.eax, found.ebx & 0xFFFF, ecx, found.edx & FEATURES_1D)
            case 7:
                if subleaf == 0:
                    store(self.features7[0], 0, found.ebx & FEATURES_7B, found.ecx & FEATURES_7C, 0)
            case 0xD:
                self._take_component(subleaf, found, offered)
            case 0x8000_0000:
                self.highest_extended = min(found.eax, EXTENDED + EXTENDED_LEAVES - 1)
                store(self.extended[0], self.highest_extended, found.ebx, found.ecx, found.edx)
            case 0x8000_0001:
                store(self.extended[1], found.eax, 0, found.ecx & FEATURES_E1C, found.edx & FEATURES_E1D)
            case 0x8000_0002 | 0x8000_0003 | 0x8000_0004 | 0x8000_0005 | 0x8000_0006:
                store(self.extended[number - EXTENDED], found.eax, found.ebx, found.ecx, found.edx)
            case 0x8000_0007:
                store(self.extended[7], 0, 0, 0, found.edx & INVARIANT_TSC)
            case 0x8000_0008:
                store(self.extended[8], found.eax & ADDRESS_SIZES, 0, 0, 0)
            case _:
                pass

    def _take_component(self, number: u32, found: Leaf, offered: u32) -> None:
        if number == 0:
            store(self.components[0], found.eax & offered, 0, 0, 0)
        elif number == 1:
            store(self.components[1], found.eax & XSAVE_FORMS, 0, 0, 0)
        elif number < COMPONENTS and offered >> number & 1 != 0:
            store(self.components[number], found.eax, found.ebx, found.ecx & 2, 0)

    def find(self, number: u32, subleaf: u32, into: Leaf) -> None:
        """What stands in the policy for any leaf at all."""
        if number == 7 and number <= self.highest:
            if subleaf < SUBLEAVES_7:
                copy(self.features7[subleaf], into)
        elif number == 0xD and number <= self.highest:
            if subleaf < COMPONENTS:
                copy(self.components[subleaf], into)
        elif number <= self.highest:
            copy(self.basic[number], into)
        elif number >= EXTENDED and number <= self.highest_extended:
            copy(self.extended[number - EXTENDED], into)

    @property
    def has_rdtscp(self) -> bool:
        return self.extended[1].edx & RDTSCP != 0

    def size_of(self, xcr0: u32) -> u32:
        """Bytes of an XSAVE area in the standard form for these components."""
        size: u32 = 576
        for i in bounded(2, COMPONENTS, COMPONENTS):
            if xcr0 >> i & 1 != 0:
                size = max(size, self.components[i].ebx + self.components[i].eax)
        return size


def package_bits(vcpus: u32) -> u32:
    """How many low bits of a local APIC's number tell the threads of the package apart."""
    return 32 - leading_zeros(2 * vcpus - 1)


def store(leaf: Leaf, eax: u32, ebx: u32, ecx: u32, edx: u32) -> None:
    leaf.eax = eax
    leaf.ebx = ebx
    leaf.ecx = ecx
    leaf.edx = edx


def copy(leaf: Leaf, into: Leaf) -> None:
    store(into, leaf.eax, leaf.ebx, leaf.ecx, leaf.edx)
