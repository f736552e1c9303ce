"""What a guest asks of its physical map: memory_op (public/memory.h)."""

from hv.common.comm.shared_info import SharedInfo, map_of
from hv.common.control.domid import must_be_own
from hv.common.control.hypercall import MEMORY_OP, hypercall
from hv.common.control.memory_layout import AddToPhysmap, RemoveFromPhysmap
from hv.common.mm.p2m import GuestKind
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, raises, u32, u64

SPACE_SHARED_INFO: Final[u32] = 0


@hypercall(MEMORY_OP, sub=7)
@raises
def add_to_physmap(caller: Vcpu, request: AddToPhysmap) -> u64:
    """Puts the shared information page where the caller's domain wants it. EPERM: another domain. EINVAL: another space
    than that page's, or no such place. ENOMEM.
    """
    must_be_own(caller, request.domid)
    if request.space != SPACE_SHARED_INFO or request.idx != 0:
        raise Errno.EINVAL
    SharedInfo.of(caller.domain).map_at(caller.domain, request.gpfn)
    return 0


@hypercall(MEMORY_OP, sub=15)
@raises
def remove_from_physmap(caller: Vcpu, request: RemoveFromPhysmap) -> u64:
    """Takes a frame out of the map. EPERM: another domain. ENOENT: nothing is there. ENOMEM: no memory for tables."""
    must_be_own(caller, request.domid)
    if map_of(caller.domain).lookup(request.gpfn).kind not in (GuestKind.RAM, GuestKind.READ_ONLY):
        raise Errno.ENOENT
    map_of(caller.domain).remove(request.gpfn, 1).flush()
    return 0
