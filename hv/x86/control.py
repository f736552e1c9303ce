"""What each CPU's control registers say: the same on all, chosen by what the CPU has."""

from hv.lang import Final, u64
from hv.x86.cpu import write_msr
from hv.x86.cpuid import features
from hv.x86.sysreg import CR4, PAT, Control4

MEMORY_TYPES: Final[u64] = 0x0501_0007_0406
"""The PAT, as Xen's guests expect it: write-back, write-through, UC-, uncacheable, write-combining, write-protected and
twice uncacheable (Intel SDM 3A, 11.12)."""


def set_up_cpu() -> None:
    write_msr(PAT, MEMORY_TYPES)
    control = Control4(CR4.read())
    control.global_pages = True
    control.machine_check = features.machine_check
    control.no_user_descriptors = features.umip
    control.no_user_execution = features.smep
    control.no_user_access = features.smap
    CR4.write(control.raw)
