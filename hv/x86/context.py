"""The general registers of a vCPU, which every exit saves and every entry restores (boot/x86/svm.S).

All other state of the guest's lies where the virtualisation extension keeps it, or stays in the hardware until another
vCPU is loaded. RAX and RSP are moved in and out of there by whoever enters and leaves (hv/x86/svm/exits.py).
"""

from hv.lang import Final, aligned, array, assembly_layout, u64

RAX: Final = 0  # registers, by their numbers in instructions
RCX: Final = 1
RDX: Final = 2
RBX: Final = 3
RSP: Final = 4
RBP: Final = 5
RSI: Final = 6
RDI: Final = 7
R8: Final = 8
R9: Final = 9
R10: Final = 10


@assembly_layout
@aligned(16)
class VcpuContext:
    registers: array[u64, 16]
    control: u64  # the physical address of what the extension keeps: of the VMCB
