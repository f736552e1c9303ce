"""A guest's memory by its linear addresses, with the rights that the vCPU has at the moment."""

from hv.common.mm.types import Gaddr
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, raises, u64
from hv.x86.hvm.guest_walk import Access, Control0, Control4, Extended, Paging, Walk, walk
from hv.x86.hvm.virtualisation import Register, virtualisation

ALIGNMENT_CHECK: Final[u64] = 1 << 18  # RFLAGS.AC
USER_PRIVILEGE: Final = 3


def paging_of(vcpu: Vcpu) -> Paging:
    extension = virtualisation()
    return Paging(
        Control0(extension.read(vcpu, Register.CR0)),
        extension.read(vcpu, Register.CR3),
        Control4(extension.read(vcpu, Register.CR4)),
        Extended(extension.read(vcpu, Register.EFER)),
        extension.read(vcpu, Register.RFLAGS) & ALIGNMENT_CHECK != 0,
    )


def look_up(vcpu: Vcpu, linear: u64, write: bool, fetch: bool) -> Walk:
    user = virtualisation().privilege(vcpu) == USER_PRIVILEGE
    return walk(DomainMemory.of(vcpu.domain).p2m, paging_of(vcpu), linear, Access(write, fetch, user))


@raises
def translate(vcpu: Vcpu, linear: u64, write: bool) -> Gaddr:
    """EFAULT: the guest itself would fault there."""
    found = look_up(vcpu, linear, write, False)
    if not found.found:
        raise Errno.EFAULT
    return found.address
