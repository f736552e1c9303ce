"""Faults of CPUs that a hypervisor has to know about: which CPUs have them, and what is done.

Each CPU looks itself up when it starts, and the first that has an erratum says so. What has to be done differently is
a flag in workarounds.py, read where it matters; what is done at a guest's exit is exit_guard.py.

Sources: Arm's Software Developers Errata Notices of the CPUs; Linux Documentation/arch/arm64/silicon-errata.rst.
"""

from hv.arch import cpu_id
from hv.arm64.cpu import instruction_barrier
from hv.arm64.cpustart import cpu_starts
from hv.arm64.sysreg import MIDR_EL1, TCR_EL1, WALKS_CLOSED
from hv.arm64.workarounds import workarounds
from hv.common.kernel.log import info
from hv.common.kernel.options import options
from hv.config import (
    CONFIG_ERRATUM_826319,
    CONFIG_ERRATUM_832075,
    CONFIG_ERRATUM_834220,
    CONFIG_ERRATUM_843419,
    CONFIG_ERRATUM_1319367,
)
from hv.lang import Bits, Callable, Field, Final, Registry, array, u32, u64, value

ARM: Final[u32] = 0x41
CORTEX_A53: Final[u32] = 0xD03
CORTEX_A55: Final[u32] = 0xD05
CORTEX_A57: Final[u32] = 0xD07
CORTEX_A72: Final[u32] = 0xD08
CORTEX_A76: Final[u32] = 0xD0B
ANY: Final[u32] = 0xFF  # the last of all revisions
MAX_ERRATA: Final = 32


class MainId(Bits[u64]):
    """MIDR_EL1."""

    revision = Field(3, 0)
    part = Field(15, 4)
    variant = Field(23, 20)
    implementer = Field(31, 24)


@value
class Erratum:
    number: str
    cpu: str
    part: u32
    first: u32  # revisions: r1p2 is 0x12
    last: u32
    effect: str  # what is done, or what to expect
    apply: Callable[[], None]


errata: Final = Registry[Erratum]()


class Told:
    """Which errata a line has told of."""

    lines: array[bool, MAX_ERRATA]


told: Final = Told()
forced: str = ""


def applies(erratum: Erratum, midr: u64) -> bool:
    cpu = MainId(midr)
    revision = u32(cpu.variant) << 4 | u32(cpu.revision)
    ours = u32(cpu.implementer) == ARM and u32(cpu.part) == erratum.part
    return ours and erratum.first <= revision <= erratum.last


@cpu_starts.entry()
def check_errata() -> None:
    midr = MIDR_EL1.read()
    index: u32 = 0
    for erratum in errata:
        if applies(erratum, midr) or erratum.number == forced:
            erratum.apply()
            if not told.lines[index]:
                told.lines[index] = True
                info(f"CPU {cpu_id()}: {erratum.cpu} erratum {erratum.number}: {erratum.effect}")
        index += 1


@options.entry(name="erratum")
def erratum_option(text: str) -> bool:
    """Has one worked round although the CPU is not known to need it."""
    global forced
    for erratum in errata:
        if erratum.number == text:
            forced = erratum.number
            return True
    return False


# What is known

if CONFIG_ERRATUM_826319:

    @errata.entry(
        number="826319",
        cpu="Cortex-A53",
        part=CORTEX_A53,
        first=0x00,
        last=0x02,
        effect="cache lines are invalidated when they are cleaned",
    )
    def invalidate_when_cleaning() -> None:
        """With 827319, 824069 and 819472, which have the same cure: a line that is cleaned may be lost when another CPU
        writes it at the same time."""
        workarounds.invalidates_when_cleaning = True


if CONFIG_ERRATUM_832075:

    @errata.entry(
        number="832075",
        cpu="Cortex-A57",
        part=CORTEX_A57,
        first=0x00,
        last=0x12,
        effect="a guest's loads from devices can stop the CPU for good, which nothing but the guest can prevent",
    )
    def guests_can_stop() -> None:
        """An exclusive or acquiring load beside one from a device. The hypervisor reads devices by plain loads."""


if CONFIG_ERRATUM_834220:

    @errata.entry(
        number="834220",
        cpu="Cortex-A57",
        part=CORTEX_A57,
        first=0x00,
        last=0x12,
        effect="addresses of guests' faults are translated anew",
    )
    def distrust_fault_addresses() -> None:
        """A fault of the guest's own tables may be reported as one of stage 2, with a wrong HPFAR_EL2."""
        workarounds.distrusts_fault_address = True


if CONFIG_ERRATUM_843419:

    @errata.entry(
        number="843419",
        cpu="Cortex-A53",
        part=CORTEX_A53,
        first=0x00,
        last=0x04,
        effect="the linker has avoided what goes wrong",
    )
    def linked_around() -> None:
        """ADRP in the last two words of a page, a store behind it (compiler/link.py)."""


if CONFIG_ERRATUM_1319367:
    CLOSED: Final = "no table walk begins while guests change places"

    @errata.entry(number="1319367", cpu="Cortex-A72", part=CORTEX_A72, first=0, last=ANY, effect=CLOSED)
    def close_walks_a72() -> None:
        close_walks()

    @errata.entry(number="1319537", cpu="Cortex-A57", part=CORTEX_A57, first=0, last=ANY, effect=CLOSED)
    def close_walks_a57() -> None:
        close_walks()

    @errata.entry(number="1530923", cpu="Cortex-A55", part=CORTEX_A55, first=0x00, last=0x20, effect=CLOSED)
    def close_walks_a55() -> None:
        close_walks()

    @errata.entry(number="1165522", cpu="Cortex-A76", part=CORTEX_A76, first=0x00, last=0x20, effect=CLOSED)
    def close_walks_a76() -> None:
        close_walks()


def close_walks() -> None:
    """An address translation that is speculated while the guest's registers and VTTBR_EL2 belong to different guests
    leaves wrong entries in the TLB. TCR_EL1 forbids walks meanwhile (vcpu.py, maintenance.py).
    """
    workarounds.closes_walks = True
    TCR_EL1.write(WALKS_CLOSED)
    instruction_barrier()
