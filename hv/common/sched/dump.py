"""Debug keys of scheduling: `r` shows what each CPU runs and what waits for it, `q` the domains and their vCPUs.

The lists are read under their locks, a line's worth at a time; the locks are only attempted, since a CPU that is stuck
may hold one.
"""

from hv.arch import now
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.time import MICROSECOND
from hv.common.kernel.work import Progress
from hv.common.lib.number_list import spell
from hv.common.lib.text import TextBuffer
from hv.common.model.domain import MAX_DOMAINS, Domain, DomainState, domains
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import RunState, Vcpu, Vcpus
from hv.common.sched.core import scheduling
from hv.common.sched.processor import Processor, runs_vcpus
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, u8, u32, value

AFFINITY: Final = 64  # bytes of text


@value
class Named:
    """A vCPU, in words that outlive it."""

    domain: u32
    name: str
    vcpu: u32
    found: bool


@keys.entry(character="r", help="shows what CPUs run, and what waits for them", shows=True)
def show_run_queues(output: Output) -> Progress:
    cpu = online.next_from(output.row)
    if cpu == CONFIG_NR_CPUS:
        return Progress.DONE
    with Processor.on(cpu).lock.attempt() as attempt:
        locked = attempt.won
        one = named(None)
        if locked and output.part == 0:
            one = named(Processor.on(cpu).current)
        elif locked:
            one = named(scheduling.scheduler.waiting(attempt.held, cpu, output.part - 1))
    if not locked:
        console.print(f"CPU {cpu}: its run queue is locked for long")
    elif output.part == 0:
        if one.found:
            console.print(f"CPU {cpu}: d{one.domain} {one.name} vCPU {one.vcpu}")
        else:
            console.print(f"CPU {cpu}: idle" if runs_vcpus(cpu) else f"CPU {cpu}: runs no vCPUs")
    elif one.found:
        console.print(f"  waiting: d{one.domain} {one.name} vCPU {one.vcpu}")
    if locked and (one.found or output.part == 0):
        output.part += 1
    else:
        output.row = cpu + 1
        output.part = 0
    return Progress.MORE


def named(vcpu: Vcpu | None) -> Named:
    if vcpu is None:
        return Named(0, "", 0, False)
    return Named(u32(vcpu.domain.id), vcpu.domain.name, vcpu.id, True)


@keys.entry(character="q", help="shows the domains and their vCPUs", shows=True)
def show_domains(output: Output) -> Progress:
    if output.row == MAX_DOMAINS:
        return Progress.DONE
    more = False
    domain = domains.at(output.row)
    if domain is not None:
        if output.part == 0:
            show_domain(domain)
            more = True
        else:
            more = show_vcpu(domain, output.part - 1)
        domain.put()
    if more:
        output.part += 1
    else:
        output.row += 1
        output.part = 0
    return Progress.MORE


def show_domain(domain: Domain) -> None:
    mib = domain.config.frames >> 8
    tables = DomainMemory.of(domain).p2m.tables.used
    others = domain.reference_count - 1
    console.print(
        f"d{domain.id} {domain.name}: {domain.state.name}, {mib} MiB and {tables} frames of tables, {others} refs"
    )


def show_vcpu(domain: Domain, id: u32) -> bool:
    """False: there is no such vCPU. While the domain is not DYING its vCPUs stay; what their CPUs change meanwhile may
    be a moment old.
    """
    affinity = TextBuffer[AFFINITY]()
    with domain.lock.attempt() as attempt:
        locked = attempt.won
        vcpu = Vcpus.of(domain).find(id) if locked and u8(domain.state) < u8(DomainState.DYING) else None
        found = vcpu is not None
        runstate = RunState.OFFLINE
        ran = now()
        where: u32 = 0
        pauses: u32 = 0
        down = False
        if vcpu is not None:
            runstate = vcpu.runstate
            ran = vcpu.time_in(RunState.RUNNING, now())
            where = vcpu.processor
            pauses = vcpu.pauses
            down = vcpu.down
            spell(vcpu.hard_affinity, affinity)
    if not locked:
        console.print("  its lock is held for long")
    if found:
        state = "down" if down else runstate.name
        us = ran // MICROSECOND
        console.print(f"  vCPU {id}: {state} on CPU {where} of {affinity.text}, ran {us} us, {pauses} pauses")
    return found
