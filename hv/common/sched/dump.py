"""Debug keys of scheduling: `r` shows what each CPU runs and what waits for it, `q` the domains and their vCPUs."""

from hv.arch import now
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import keys
from hv.common.kernel.time import MICROSECOND
from hv.common.model.domain import domains
from hv.common.model.vcpu import RunState, Vcpu, Vcpus
from hv.common.sched.core import scheduling
from hv.common.sched.processor import Processor, locked


@keys.entry(character="r", help="shows what CPUs run")
def dump_cpus(character: str) -> None:
    for cpu in online:
        processor = Processor.on(cpu)
        with processor.lock as held:
            vcpu = processor.current
            if vcpu is None:
                console.print(f"CPU {cpu}: idle")
            else:
                console.print(f"CPU {cpu}: d{vcpu.domain.id} {vcpu.domain.name} vCPU {vcpu.id}")
            scheduling.scheduler.dump_cpu_state(held, cpu)


@keys.entry(character="q", help="shows the domains")
def dump_domains(character: str) -> None:
    with domains.lock as held:
        for domain in domains.each(held):
            mib = domain.config.frames >> 8
            console.print(f"d{domain.id} {domain.name}: {domain.state.name}, {mib} MiB, {domain.reference_count} refs")
            for vcpu in Vcpus.of(domain):
                with locked(vcpu):
                    dump_vcpu(vcpu)


def dump_vcpu(vcpu: Vcpu) -> None:
    ran = vcpu.time_in(RunState.RUNNING, now()) // MICROSECOND
    where = vcpu.processor
    console.print(f"  vCPU {vcpu.id}: {vcpu.runstate.name} on CPU {where}, ran {ran} us, {vcpu.pauses} pauses")
