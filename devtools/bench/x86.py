"""The set of figures for x86: what is measured, and how it is taken from each hypervisor.

The machine is QEMU's q35 with one CPU, an AMD IOMMU and time in instructions. The guest is the PVH unikernel `bench`:
one of our domains, which GRUB hands over, and domain 0 on Xen, which cannot start another one alone.
"""

import dataclasses
import gzip
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from devtools import boot, build, guests, qemu, scenario
from devtools.bench import peer, protocol
from devtools.bench.rows import Figure
from devtools.bench.stamps import SIGNATURE, Stamps, Watch
from devtools.machine import Machine, NotSeen
from devtools.paths import BUILD
from devtools.report import Problem, progress

ARCHITECTURE = "x86"
HERE = Path(__file__).parent
RUN_SECONDS = 300  # of wall-clock time, for a run that takes a few on an idle machine
POLL_SECONDS = 0.05
XEN_LINE = "dom0=pvh dom0_mem=256M com1=115200,8n1 console=com1 noreboot"

TRAPS = (
    Figure("x86.xen_version", "hypercall xen_version(0) and back", target=0.2),
    Figure("x86.unknown_hypercall", "a hypercall that does not exist", target=0.2),
    Figure("x86.vcpu_is_up", "hypercall vcpu_op(is_up)", target=0.2),
    Figure("x86.yield", "hypercall sched_op(yield)", target=0.2),
    Figure("x86.set_timer", "hypercall set_timer_op(0)", target=0.2),
    Figure("x86.cpuid", "CPUID leaf 1", target=0.2),
    Figure("x86.rdmsr", "RDMSR of IA32_APIC_BASE", target=0.2),
    Figure("x86.apic_read", "load of a local APIC's register", target=0.2),
    Figure("x86.event_send", "an event to itself that is already pending", target=0.2),
    Figure("x86.event_upcall", "an event to itself, with its interrupt", target=0.2),
)
FIRST_LINE = Figure("x86.first_line", "hypervisor's start to its first line")
GUEST_START = Figure("x86.guest_start", "hypervisor's start to the guest's", target=0.2)
FIGURES = (*TRAPS, FIRST_LINE, GUEST_START)


@dataclass(frozen=True)
class Side:
    """A hypervisor: its file, and the command of a machine on which the guest runs."""

    image: Path
    command: Callable[[], list[str]]


def ours() -> Side:
    """This project, built when it is not there."""
    image = build.build(scenario.CONFIGS[ARCHITECTURE])
    return Side(image, lambda: boot.command(_scenario(), boot.Options(icount=True, hypervisor=image)))


def theirs() -> Side:
    """Debian's Xen, by Multiboot 1."""
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "xen-4.17-amd64"
    image.write_bytes(gzip.decompress(peer.image(ARCHITECTURE).read_bytes()))
    payload = qemu.Payload(image, initrd=_unikernel(), bootargs=XEN_LINE)
    machine = dataclasses.replace(_scenario().machine, cpus=1)
    return Side(image, lambda: qemu.command(machine, payload, icount=True))


def versions(with_xen: bool) -> dict[str, str]:
    """What a figure of Xen depends on."""
    return peer.versions(ARCHITECTURE, with_xen, with_kernel=False)


def measure(side: Side, wanted: Collection[Figure]) -> dict[Figure, int]:
    """The wanted figures of a hypervisor. Problem: it did not get as far as the figure needs, or the guest says so."""
    progress(f"timing traps on {side.image.name}")
    guest = _unikernel()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stamps = Stamps(Watch(port=True, start=entry_code(side.image), guest=entry_code(guest)), Path(folder))
        with Machine([*side.command(), *stamps.options]) as machine:
            try:
                machine.expect(protocol.ENDED, RUN_SECONDS)
            except NotSeen as why:
                raise Problem(f"the bench unikernel did not end on {side.image}: {why}", 1) from None
            while machine.read(POLL_SECONDS):  # what was stamped may still be on its way
                pass
            stamps.update()
            traps = protocol.instructions(machine.output)
            output = bytes(machine.printed)
    if stamps.start is None or stamps.guest is None:
        raise Problem(f"{side.image} was not seen to start a guest. The last lines:\n{machine.tail()}", 1)
    found = {figure: traps[_operation(figure)] for figure in TRAPS if _operation(figure) in traps}
    found[FIRST_LINE] = stamps.first_line(output, after=stamps.start) - stamps.start
    found[GUEST_START] = stamps.guest - stamps.start
    missing = [figure.name for figure in wanted if figure not in found]
    if missing:
        raise Problem(f"the bench unikernel ended without a line for {', '.join(missing)} on {side.image}", 1)
    return {figure: found[figure] for figure in FIGURES if figure in wanted}


def _scenario() -> scenario.Scenario:
    return scenario.load("pvh", HERE)


def _unikernel() -> Path:
    config = scenario.CONFIGS[ARCHITECTURE]
    build.build(config)
    return guests.unikernel("bench", build.folder(config) / "qemu-tests" / "guests")


def _operation(figure: Figure) -> str:
    """The figure's name in the unikernel's lines."""
    return figure.name.removeprefix("x86.")


def entry_code(elf: Path) -> bytes:
    """The first bytes that execute of a program, by which it is known wherever it was loaded. Problem: no such ELF."""
    with elf.open("rb") as file:
        program = ELFFile(file)
        entry = program["e_entry"]
        for segment in program.iter_segments("PT_LOAD"):
            offset = entry - segment["p_vaddr"]
            if 0 <= offset < segment["p_filesz"]:
                return segment.data()[offset : offset + SIGNATURE]
        raise Problem(f"{elf} has no segment with its entry {entry:#x}")
