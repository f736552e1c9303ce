"""What others can tell of a CPU that hangs: which vCPU it runs."""

from hv.common.kernel.evidence import evidence
from hv.common.kernel.panic import line
from hv.common.sched.processor import Processor
from hv.lang import u32


@evidence.entry()
def tell_vcpu(cpu: u32) -> None:
    vcpu = Processor.on(cpu).current
    if vcpu is None:
        line("  it runs no vCPU")
    else:
        line(f"  it runs d{vcpu.domain.id} {vcpu.domain.name} vCPU {vcpu.id}")
