"""The set of figures for arm64: what is measured, and how it is taken from a hypervisor's image.

The machine is QEMU's virt with one Cortex-A57 and time in instructions; both hypervisors get the same device tree,
with the domains of the TOML files here, and the same files at the same addresses.
"""

import struct
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from devtools import boot, build, guests, scenario
from devtools.bench import peer, protocol
from devtools.bench.rows import Figure
from devtools.bench.stamps import Stamps, Watch
from devtools.machine import Machine, NotSeen
from devtools.report import Problem, progress

ARCHITECTURE = "arm64"
HERE = Path(__file__).parent
RUN_SECONDS = 300  # of wall-clock time, for a run that takes one or two on an idle machine
POLL_SECONDS = 0.05
UART = 0x0900_0000  # PL011's data register on virt (QEMU hw/arm/virt.c, base_memmap)
GUEST_MEMORY = 0x4000_0000  # bank 0 of a guest's physical map (public/arch-arm.h, GUEST_RAM0_BASE)

TRAPS = (
    Figure("arm64.hvc_psci_version", "HVC PSCI_VERSION and back", target=0.6),
    Figure("arm64.vgicd_typer_read", "read of the virtual GICD_TYPER", target=0.6),
    Figure("arm64.vpl011_flag_read", "read of the virtual UART's flags", target=0.6),
    Figure("arm64.timer_running", "timer to handler, guest runs", target=0.6),
    Figure("arm64.timer_waiting", "timer to handler, guest waits", target=0.6),
    Figure("arm64.spi_running", "device to handler, guest runs", target=0.6),
)
SWITCH = Figure("arm64.domain_switch", "yield to another domain's vCPU", target=0.6)
SGI = Figure("arm64.sgi_waiting", "SGI to a vCPU that waits", target=0.6)
TIMED = {"traps": TRAPS, "switch": (SWITCH,), "sgi": (SGI,)}
"""What unikernels time themselves, by the machine that they run on."""
FIRST_LINE = Figure("arm64.first_line", "power-on to its first line")
GUEST_START = Figure("arm64.guest_start", "power-on to the guest's start", target=0.4)
SECOND_START = Figure("arm64.second_start", "power-on to the last of 2 guests", target=0.35)
FOURTH_START = Figure("arm64.fourth_start", "power-on to the last of 4 guests", target=0.35)
STARTS = {GUEST_START: ("start", 1), SECOND_START: ("start2", 2), FOURTH_START: ("start4", 4)}
"""The machine, and how many guests start there."""
IMAGE_SIZE = Figure("arm64.image_size", "image file", unit="bytes")
FIGURES = (*TRAPS, SWITCH, SGI, FIRST_LINE, *STARTS, IMAGE_SIZE)


def ours() -> Path:
    """The image of this project, built when it is not there."""
    return build.build(scenario.CONFIGS[ARCHITECTURE])


def theirs() -> Path:
    """Debian's Xen."""
    return peer.image(ARCHITECTURE)


def versions(with_xen: bool) -> dict[str, str]:
    """What a figure of Xen depends on."""
    return peer.versions(ARCHITECTURE, with_xen)


def measure(image: Path, wanted: Collection[Figure]) -> dict[Figure, int]:
    """The wanted figures of a hypervisor. Problem: it did not get as far as the figure needs, or the guest says so."""
    found: dict[Figure, int] = {}
    for name, figures in TIMED.items():
        if any(figure in wanted for figure in figures):
            found |= _timed(name, image)
    for figure in STARTS:
        if figure in wanted or (figure == GUEST_START and FIRST_LINE in wanted):
            found |= _start(image, figure)
    if IMAGE_SIZE in wanted:
        found[IMAGE_SIZE] = image.stat().st_size
    return {figure: found[figure] for figure in FIGURES if figure in wanted}


def _command(name: str, image: Path) -> list[str]:
    return boot.command(scenario.load(name, HERE), boot.Options(icount=True, hypervisor=image))


def _timed(name: str, image: Path) -> dict[Figure, int]:
    progress(f"timing {name} on {image.name}")
    with Machine(_command(name, image)) as machine:
        try:
            machine.expect(protocol.ENDED, RUN_SECONDS)
        except NotSeen as why:
            raise Problem(f"the bench unikernel did not end on {image}: {why}", 1) from None
        measured = protocol.instructions(machine.output)
    missing = [figure.name for figure in TIMED[name] if _operation(figure) not in measured]
    if missing:
        raise Problem(f"the bench unikernel ended without a line for {', '.join(missing)} on {image}", 1)
    return {figure: measured[_operation(figure)] for figure in TIMED[name]}


def _operation(figure: Figure) -> str:
    """The figure's name in the unikernel's lines."""
    return figure.name.removeprefix("arm64.")


def _start(image: Path, figure: Figure) -> dict[Figure, int]:
    """When the last guest begins, and on the machine with one guest also the hypervisor's first line."""
    name, number = STARTS[figure]
    progress(f"counting the start of {number} guest{'s' if number > 1 else ''} on {image.name}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stamps = Stamps(Watch(UART, *first_instruction(guests.kernel(ARCHITECTURE))), Path(folder))
        deadline = time.monotonic() + RUN_SECONDS
        with Machine([*_command(name, image), *stamps.options]) as machine:
            while len(stamps.guests) < number and machine.running and time.monotonic() < deadline:
                machine.read(POLL_SECONDS)
                stamps.update()
        if len(stamps.guests) < number:
            begun = f"{len(stamps.guests)} of {number} guests" if stamps.guests else "no guest"
            raise Problem(f"{begun} began to run on {image}. The last lines:\n{machine.tail()}", 1)
        found = {figure: stamps.guests[number - 1]}
        return found | ({FIRST_LINE: stamps.first_line(bytes(machine.printed))} if figure == GUEST_START else {})


def first_instruction(kernel: Path) -> tuple[int, int]:
    """Where the first instruction of an arm64 Image is in a guest's memory, and its word.

    Linux Documentation/arm64/booting.rst, section 4: the entry is the Image's first word, at text_offset (u64 at 8).
    """
    with kernel.open("rb") as image:
        word, _, offset = struct.unpack("<IIQ", image.read(16))
    return GUEST_MEMORY + offset, word
