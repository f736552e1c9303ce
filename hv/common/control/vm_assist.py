"""Ways in which a guest wants to be helped: vm_assist (public/xen.h, VMASST_*)."""

from hv.common.comm.runstate import RunstateFlag
from hv.common.control.hypercall import VM_ASSIST, Words, failed, plain
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, i64, truncate, u32, u64

ENABLE: Final[u32] = 0
DISABLE: Final[u32] = 1
RUNSTATE_UPDATE_FLAG: Final[u64] = 5


@plain(VM_ASSIST)
def vm_assist(caller: Vcpu, words: Words) -> i64:
    """`first` is what to do, `second` which help. EINVAL: there is no such help. ENOSYS: nothing else is to be done."""
    if words.second != RUNSTATE_UPDATE_FLAG:
        return failed(Errno.EINVAL)
    command = truncate(u32, words.first)
    if command not in (ENABLE, DISABLE):
        return failed(Errno.ENOSYS)
    RunstateFlag.of(caller.domain).wanted = command == ENABLE
    return 0
