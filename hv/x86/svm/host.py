"""What each CPU needs to run guests with SVM: the extension turned on, a place for the hypervisor's state during a
guest, and the rest of that state, which the entry stub brings back by VMLOAD (AMD APM 2, 15.5 and 15.30).
"""

from hv.common.kernel.panic import panic
from hv.common.mm.heap import heap
from hv.common.mm.types import paddr_of
from hv.lang import Embedded, Errno, Final, PerCpu, asm, assembly_layout, u32, u64
from hv.x86.cpu import read_msr, write_msr
from hv.x86.svm.asid import AsidPool
from hv.x86.svm.features import allow, svm_features
from hv.x86.sysreg import EFER

VM_HSAVE_PA: Final[u32] = 0xC001_0117
SVME: Final[u64] = 1 << 12


@assembly_layout
class SvmCpu(PerCpu):
    host: u64  # physical address of a VMCB that holds what VMLOAD brings back
    asids: Embedded[AsidPool]


def start_svm() -> None:
    """On this CPU, once."""
    if not allow():
        panic("the firmware has turned SVM off on this CPU, and not on the first")
    write_msr(EFER, read_msr(EFER) | SVME)
    own = SvmCpu.this()
    own.asids.init(svm_features.asids)
    try:
        write_msr(VM_HSAVE_PA, paddr_of(heap.allocate_zeroed(0)))
        own.host = paddr_of(heap.allocate_zeroed(0))
    except Errno:
        panic("there is no memory for what SVM keeps of each CPU")
    save_rest(own.host)


@asm("vmsave %rax", control="rax")
def save_rest(control: u64) -> None:
    """FS, GS, TR, LDTR with what lies behind them, and the registers of SYSCALL and SYSENTER."""
    ...
