"""What it costs to be a guest: Debian's kernel from its first instruction until a shell has said that it is ready, as a
PVH guest and on the bare machine.

The machine is QEMU's q35 with one CPU and time in instructions. All instructions count, the hypervisor's among them.
"""

import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

from devtools import boot, build, guests, scenario
from devtools.bench import peer
from devtools.bench.rows import Figure
from devtools.bench.stamps import SIGNATURE, Stamps, Watch
from devtools.machine import Machine, NotSeen
from devtools.report import Problem, progress

ARCHITECTURE = "x86"
HERE = Path(__file__).parent
RUN_SECONDS = 600  # of wall-clock time, for a run that takes a minute on an idle machine
POLL_SECONDS = 0.05
READY = "READY linux"
ENTRY_NOTE = 18  # XEN_ELFNOTE_PHYS32_ENTRY of public/elfnote.h

BARE = Figure("linux.ready", "Debian's kernel until READY, as a guest and alone", target=1.10, peer="bare")
XENS = Figure("linux.ready_xen", "the same; Xen's beside a PVH dom0")
FIGURES = (BARE, XENS)

XENS_INSTRUCTIONS = 2_400_000_000
"""Of a PVH guest of Debian's Xen 4.17 with one CPU, by its own time stamp counter, a PVH domain 0 beside it: measured
once, to two digits, since a run takes three minutes and a domain 0 with its tools.
"""


@dataclass(frozen=True)
class Side:
    """A way to run the kernel. `xen` says that Xen's figure is told beside it."""

    name: str
    command: Callable[[], list[str]]
    xen: bool


def ours() -> Side:
    """A guest of this project, which is built when it is not there."""
    image = build.build(scenario.CONFIGS[ARCHITECTURE])
    options = boot.Options(icount=True, hypervisor=image)
    return Side("this hypervisor", lambda: boot.command(scenario.load("linux", HERE), options), False)


def theirs() -> Side:
    """The machine itself."""
    options = boot.Options(icount=True)
    return Side("the bare machine", lambda: boot.command(scenario.load("linux_bare", HERE), options), True)


def versions(with_xen: bool) -> dict[str, str]:
    return peer.versions(ARCHITECTURE, with_xen)


def measure(side: Side, wanted: Collection[Figure]) -> dict[Figure, int]:
    """Problem: the guest did not become ready."""
    count = instructions(side)
    figures = {BARE: count, XENS: XENS_INSTRUCTIONS if side.xen else count}
    return {figure: figures[figure] for figure in FIGURES if figure in wanted}


def instructions(side: Side) -> int:
    """Between the kernel's first and the one that sends the last byte of READY."""
    progress(f"booting Debian's kernel on {side.name}")
    kernel = guests.resolver(ARCHITECTURE, HERE, HERE)("vmlinux")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stamps = Stamps(Watch(port=True, guest=pvh_code(kernel)), Path(folder))
        with Machine([*side.command(), *stamps.options]) as machine:
            try:
                machine.expect(READY, RUN_SECONDS)
            except NotSeen as why:
                raise Problem(f"Debian's kernel did not become ready on {side.name}: {why}", 1) from None
            while machine.read(POLL_SECONDS):  # what was stamped may still be on its way
                pass
            stamps.update()
            end = bytes(machine.printed).index(READY.encode()) + len(READY)
    if stamps.guest is None or len(stamps.uart) < end:
        raise Problem(f"Debian's kernel was not seen to start on {side.name}", 1)
    return stamps.uart[end - 1] - stamps.guest


def pvh_code(elf: Path) -> bytes:
    """The first bytes that execute of a kernel that is entered as PVH has it. Problem: it does not say where."""
    with elf.open("rb") as file:
        program = ELFFile(file)
        for section in program.iter_sections():
            if not isinstance(section, NoteSection):
                continue
            for note in section.iter_notes():
                if note["n_name"] == "Xen" and note["n_type"] in (ENTRY_NOTE, "XEN_ELFNOTE_PHYS32_ENTRY"):
                    return _code_at(program, int.from_bytes(note["n_descdata"], "little"))
    raise Problem(f"{elf} has no note that says where PVH enters it")


def _code_at(program: ELFFile, paddr: int) -> bytes:
    for segment in program.iter_segments("PT_LOAD"):
        offset = paddr - segment["p_paddr"]
        if 0 <= offset < segment["p_filesz"]:
            return segment.data()[offset : offset + SIGNATURE]
    raise Problem(f"the kernel has no segment with its entry {paddr:#x}")
