"""Which of SVM this CPU has, and whether it may be used (AMD APM 2, 15.4; APM 3, appendix E: CPUID 8000000AH)."""

from hv.lang import Bits, Field, Final, u32, u64
from hv.x86.cpu import read_msr_or, write_msr
from hv.x86.cpuid import EXTENDED, Leaf, features

VM_CR: Final[u32] = 0xC001_0114
SVM_PRESENT: Final[u32] = 1 << 2  # ECX of 80000001H


class Control(Bits[u64]):
    """VM_CR."""

    locked = Field(3)  # LOCK: `disabled` stays as it is
    disabled = Field(4)  # SVMDIS


class Capabilities(Bits[u32]):
    """EDX of 8000000AH: those that serve guests without SVM of their own. A virtual GIF is not one: STGI and CLGI are
    not theirs.
    """

    nested_paging = Field(0)
    next_rip = Field(3)
    clean_bits = Field(5)
    flush_by_asid = Field(6)
    decode_assists = Field(7)
    pause_filter = Field(10)
    pause_threshold = Field(12)


class SvmFeatures:
    """Of the boot CPU; the others are expected to be the same."""

    asids: u32  # how many there are; 0 is the hypervisor's
    has: Capabilities
    allowed: bool  # by the firmware
    repeats_interrupts: bool  # hv/x86/svm/offer.py

    def find(self) -> None:
        leaf = Leaf()
        leaf.read(EXTENDED + 0xA)
        self.asids = leaf.ebx
        self.has = Capabilities(leaf.edx)
        self.allowed = allow()
        self.repeats_interrupts = features.tcg


svm_features: Final = SvmFeatures()


def is_present() -> bool:
    leaf = Leaf()
    leaf.read(EXTENDED + 1)
    return leaf.ecx & SVM_PRESENT != 0


def allow() -> bool:
    """On this CPU: whether SVM may be turned on. What the firmware has turned off without locking it is allowed."""
    control = Control(read_msr_or(VM_CR, 0))
    if not control.disabled or control.locked:
        return not control.disabled
    control.disabled = False
    write_msr(VM_CR, control.raw)
    return not Control(read_msr_or(VM_CR, 0)).disabled


def hindrance_of(asids: u32, has: Capabilities, allowed: bool) -> str:
    """Why guests cannot run with these features. Empty: they can."""
    if not allowed:
        return "the firmware has turned SVM off: turn on what its setup calls SVM mode or AMD-V"
    if not has.nested_paging:
        return "guests need SVM with nested paging, which this CPU does not have"
    if asids < 2:
        return "this CPU has no address space identifier for a guest (CPUID 8000000AH)"
    return ""
