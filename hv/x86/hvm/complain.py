"""Lines about what a guest did wrong: who, where, what, and what came of it; limited in number for each domain."""

from hv.common.kernel.log import Level, limited
from hv.common.model.vcpu import Vcpu
from hv.lang import u64
from hv.x86.hvm.state import HvmDomain
from hv.x86.hvm.virtualisation import Register, virtualisation


def complain(vcpu: Vcpu, what: str, number: u64, outcome: str, level: Level = Level.WARNING) -> None:
    """`what` has a number, such as a register's or an address."""
    domain = vcpu.domain
    ip = virtualisation().read(vcpu, Register.RIP)
    limited(
        HvmDomain.of(domain).complaints,
        f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} {number:#x} at rip {ip:#x}; {outcome}",
        level,
    )
