"""Lines about what a guest did wrong: who, where, what, and what came of it; limited in number for each domain."""

from hv.arm64.vcpu import ArchDomain, ArchVcpu
from hv.common.builder.lifecycle import description_of
from hv.common.kernel.log import limited
from hv.common.model.vcpu import Vcpu
from hv.lang import u64


def complain(vcpu: Vcpu, what: str, why: str, outcome: str) -> None:
    domain = vcpu.domain
    limited(
        ArchDomain.of(domain).complaints,
        f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} at pc {ArchVcpu.of(vcpu).context.pc:#x}: {why}; {outcome}",
    )


def complain_of_number(vcpu: Vcpu, what: str, number: u64, why: str, outcome: str) -> None:
    """`what` has a number, such as a register's or an immediate."""
    domain = vcpu.domain
    pc = ArchVcpu.of(vcpu).context.pc
    limited(
        ArchDomain.of(domain).complaints,
        f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} {number:#x} at pc {pc:#x}: {why}; {outcome}",
    )


def complain_of_address(vcpu: Vcpu, what: str, address: u64, why: str, outcome: str) -> None:
    """With the line of the partition file that gave the guest this address, or that came nearest to it."""
    domain = vcpu.domain
    pc = ArchVcpu.of(vcpu).context.pc
    description = description_of(domain)
    if description is None or description.lines.count == 0:
        limited(
            ArchDomain.of(domain).complaints,
            f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} at pc {pc:#x} address {address:#x}: {why}; {outcome}",
        )
        return
    lines = description.lines
    line = lines.nearest(address)
    place = line.relation(address)
    edge = line.edge(address)
    limited(
        ArchDomain.of(domain).complaints,
        f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} at pc {pc:#x} address {address:#x}: {why} "
        f"({lines.file}:{line.number} {place} {edge:#x}); {outcome}",
    )
