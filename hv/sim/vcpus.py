"""vCPUs on the simulated machine: which CPU has whose registers, and interrupts that tests send."""

from hv.arch import cpu_id, direct_address
from hv.common.builder.image_loader import image_loader
from hv.common.builder.lifecycle import domain_crash
from hv.common.builder.loader import loading
from hv.common.comm.upcall import Upcalls, delivery
from hv.common.control.hypercall import directory
from hv.common.drivers.devicetree import tree
from hv.common.lib.bitmap import Bitmap
from hv.common.lib.span import Bytes
from hv.common.mm.types import DomId, Gaddr, Paddr
from hv.common.model.domain import Domain, DomainConfig, Privilege, domains
from hv.common.model.vcpu import CPU_WORDS, MAX_VCPUS, Vcpu, VcpuMachine, Vcpus, architecture
from hv.common.sched.core import (
    add_vcpu,
    block,
    pause,
    settle,
    unpause,
    vcpu_down,
    vcpu_up_once_off,
    wake,
    yield_,
)
from hv.lang import Atomic, Errno, Extension, Final, Never, PerCpu, raises, u8, u16, u32, u64, unbounded
from hv.sim import machine
from hv.sim.team import meet


class SimulatedVcpu(Extension[Vcpu]):
    loaded_on: u32  # one more than the CPU that has its registers; 0: they are saved
    interrupt: Atomic[bool]
    entry: u64
    argument: u64
    loads: u32
    upcalls: Atomic[u32]
    narrow: bool  # a test says so


class Registers(PerCpu):
    owner: Vcpu | None


class SimulatedVcpus(VcpuMachine):
    def hindrance(self) -> str:
        return "this machine has no room for guests" if hindered else ""

    def most_vcpus(self) -> u32:
        return most_vcpus if most_vcpus != 0 else MAX_VCPUS

    def start(self, vcpu: Vcpu, entry: u64, argument: u64) -> None:
        state = SimulatedVcpu.of(vcpu)
        assert state.loaded_on == 0, "a vCPU is started whose registers are in use"
        state.entry = entry
        state.argument = argument
        state.interrupt.store(False)

    def load(self, vcpu: Vcpu) -> None:
        state = SimulatedVcpu.of(vcpu)
        assert state.loaded_on == 0 and Registers.this().owner is None, "registers are loaded over others"
        state.loaded_on = cpu_id() + 1
        state.loads += 1
        Registers.this().owner = vcpu

    def save(self, vcpu: Vcpu) -> None:
        state = SimulatedVcpu.of(vcpu)
        assert state.loaded_on == cpu_id() + 1 and Registers.this().owner is vcpu, "foreign registers are saved"
        state.loaded_on = 0
        Registers.this().owner = None

    def has_interrupt(self, vcpu: Vcpu) -> bool:
        return SimulatedVcpu.of(vcpu).interrupt.load()

    @raises
    def translate(self, vcpu: Vcpu, address: u64, write: bool) -> Gaddr:
        """Guests here have no tables of their own."""
        return Gaddr(address)

    def is_narrow(self, vcpu: Vcpu) -> bool:
        return SimulatedVcpu.of(vcpu).narrow

    def enter(self, vcpu: Vcpu) -> Never:
        machine.end(ENTERED)


ENTERED: Final = 67
AGAIN: Final[u64] = 0xA000  # where a vCPU begins that was switched off and on
hindered: bool = False  # a test says that no vCPU can run
most_vcpus: u32 = 0  # that a test says a domain can have; 0: as many as anywhere

simulated_vcpus: Final = SimulatedVcpus()


class SimulatedUpcalls(Upcalls):
    """An upcall is the simulated vCPU's interrupt."""

    unused: u8

    def notify(self, vcpu: Vcpu) -> None:
        SimulatedVcpu.of(vcpu).upcalls.add(1)
        interrupt(vcpu)

    def resume(self, vcpu: Vcpu) -> None:
        wake(vcpu)


simulated_upcalls: Final = SimulatedUpcalls()


def use_simulated_vcpus() -> None:
    architecture.vcpus = simulated_vcpus
    delivery.upcalls = simulated_upcalls
    directory.fill()
    loading.loader = image_loader


def interrupt(vcpu: Vcpu) -> None:
    SimulatedVcpu.of(vcpu).interrupt.store(True)
    wake(vcpu)


def take_interrupt(vcpu: Vcpu) -> None:
    SimulatedVcpu.of(vcpu).interrupt.store(False)


def loaded_on(vcpu: Vcpu) -> u32:
    return SimulatedVcpu.of(vcpu).loaded_on


def entry_of(vcpu: Vcpu) -> u64:
    return SimulatedVcpu.of(vcpu).entry


def argument_of(vcpu: Vcpu) -> u64:
    return SimulatedVcpu.of(vcpu).argument


def load_tree(address: u64, length: u64) -> None:
    """The device tree at a simulated physical address is the machine's. One that is malformed ends the process."""
    try:
        tree.init(Bytes(direct_address(Paddr(address)), length))
    except Errno:
        machine.end(machine.HALTED)


@raises
def make_domain(id: u16, vcpus: u32) -> Domain:
    """A domain without memory, in the state BUILDING."""
    return make_domain_with_spis(id, vcpus, 0)


@raises
def make_domain_with_spis(id: u16, vcpus: u32, spis: u32) -> Domain:
    """As `make_domain`, with so many shared interrupts, where the architecture has them."""
    return domains.create(
        DomId(id),
        DomainConfig(
            name="test",
            frames=0,
            vcpus=vcpus,
            uart=False,
            spis=spis,
            map_tables=0,
            set_aside=None,
            colors=None,
            privileges=Privilege(0),
        ),
    )


@raises
def make_vcpu(domain: Domain, cpus: u64) -> Vcpu:
    """Its next vCPU, down; the bits say on which CPUs it may run."""
    affinity = Bitmap[CPU_WORDS]()
    affinity.words[0] = cpus
    return add_vcpu(domain, Vcpus.of(domain).count, affinity)


def vcpu_of(domain: Domain, id: u32) -> Vcpu | None:
    return Vcpus.of(domain).find(id)


def crash(domain: Domain) -> None:
    domain_crash(domain, f"d{domain.id} {domain.name}: crashes in a test")


@unbounded("ends after so many rounds")
def churn(domain: Domain, seed: u32, rounds: u32) -> None:
    """What a CPU and its guests may do, at random, many times over: for several CPUs at once, on a domain's vCPUs."""
    meet()
    random = seed
    done: u32 = 0
    while done < rounds:
        done += 1
        random = random * 1664525 + 1013904223
        machine.poll()
        running = settle()
        other = Vcpus.of(domain).find((random >> 8) % Vcpus.of(domain).count)
        assert other is not None, "a domain without vCPUs"
        match random >> 28:
            case 0 | 1 | 2 | 3 | 4:
                interrupt(other)
            case 5 | 6 | 7 | 8 | 9:
                if running is not None:
                    block()
            case 10 | 11:
                if running is not None:
                    take_interrupt(running)
            case 12 | 13:
                if running is not None:
                    yield_()
            case 14:
                vcpu_down(other)
                begin_again(other)
            case _:
                pause(other)
                settle()
                unpause(other)


def begin_again(vcpu: Vcpu) -> None:
    """Unless another CPU was quicker."""
    try:
        vcpu_up_once_off(vcpu, AGAIN, 0)
    except Errno:
        pass
