"""Interrupts between CPUs: software generated interrupt 0, written straight to the CPU interface (Arm IHI 0069,
12.11.6).

There is one kind. What the receiver has to do stands in memory that it looks at after any interrupt.
"""

from hv.arm64.cpu import complete_stores, instruction_barrier
from hv.arm64.sysreg import Affinity
from hv.lang import Bits, Field, Final, PerCpu, SystemRegister, u32, u64

ICC_SGI1R_EL1: Final = SystemRegister("icc_sgi1r_el1")

KICK: Final[u32] = 0


class SgiTarget(Bits[u64]):
    """ICC_SGI1R_EL1."""

    targets = Field(15, 0)  # a bit for each CPU of the range
    aff1 = Field(23, 16)
    intid = Field(27, 24)
    aff2 = Field(39, 32)
    range = Field(47, 44)  # aff0 // 16
    aff3 = Field(55, 48)


class CpuPlace(PerCpu):
    affinity: u64
    sgi: u64  # the word that interrupts it


def set_place(cpu: u32, affinity: u64) -> None:
    """Where a CPU is, in the form of MPIDR_EL1."""
    place = Affinity(affinity)
    target = SgiTarget(
        targets=u64(1) << place.aff0 % 16,
        aff1=place.aff1,
        aff2=place.aff2,
        aff3=place.aff3,
        range=place.aff0 // 16,
        intid=u64(KICK),
    )
    CpuPlace.on(cpu).affinity = affinity
    CpuPlace.on(cpu).sgi = target.raw


def send_ipi(cpu: u32) -> None:
    complete_stores()
    ICC_SGI1R_EL1.write(CpuPlace.on(cpu).sgi)
    instruction_barrier()  # it goes out now, whatever this CPU waits for next
