"""The part of an x86 CPU that the simulated machine plays: what it forgets, and interrupts that its APIC sends."""

from hv.common.mm.types import PAGE_SHIFT, Mfn
from hv.lang import Final, export, u8, u32, u64
from hv.sim import changes, machine, turns, walker
from hv.x86 import lapic, tlb
from hv.x86.cpu import ThisCpu
from hv.x86.ipi import CpuPlace
from hv.x86.lapic import LocalApic

NUMBERED: Final[u64] = (1 << 48) - 1  # the bits of an address that are translated


class SimulatedApic(LocalApic):
    """Its registers are not there; what it sends arrives as the simulated machine's interrupt."""

    unused: u8

    def start(self) -> None: ...

    def id(self) -> u32:
        return machine.CpuNumber.this().number

    def read(self, register: u32) -> u32:
        return 0

    def write(self, register: u32, value: u32) -> None: ...

    def send(self, to: u32, command: u32) -> None:
        machine.kick(to)
        turns.interrupted(to)


apic: Final = SimulatedApic()


def be_pc() -> None:
    """The machine's CPUs are x86's."""
    walker.be_x86()
    lapic.machine.apic = apic


def start_cpu() -> None:
    """The calling CPU is asked when translations change, from now on."""
    number = machine.CpuNumber.this().number
    ThisCpu.this().id = number
    CpuPlace.this().apic_id = number
    tlb.take_part()


def interrupted(cpu: u32) -> None:
    """The handler of interrupts between CPUs."""
    tlb.serve()


@export
def played_x86_cpu_forget_all() -> None:
    """A change of CR4.PGE."""
    changes.forget(u64(1) << machine.CpuNumber.this().number, False, Mfn(0), 0, True, 0)


@export
def played_x86_cpu_forget_page(address: u64) -> None:
    """INVLPG."""
    this_cpu = u64(1) << machine.CpuNumber.this().number
    changes.forget(this_cpu, False, Mfn(0), 0, False, (address & NUMBERED) >> PAGE_SHIFT)
