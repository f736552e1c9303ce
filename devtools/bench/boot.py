"""The set of figures for an idle machine: a hypervisor without guests, from power-on until it has nothing to do.

The machines are QEMU's virt and q35 with one CPU and time in instructions, each with 1 and with 16 GiB. Our hypervisor
is idle before the first instruction that waits for an interrupt. Xen never is, without a domain 0; its boot ends with a
line that it prints when it turns to that domain's kernel.
"""

import dataclasses
import gzip
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools import boot as emulation
from devtools import bootstrap, build, qemu, scenario
from devtools.bench import arm64, peer, xen_memory
from devtools.bench.rows import Figure
from devtools.bench.stamps import Stamps, Watch
from devtools.machine import Machine
from devtools.paths import BUILD
from devtools.report import Problem, progress

RUN_SECONDS = 300  # of wall-clock time, for a run that takes a few on an idle machine
POLL_SECONDS = 0.05
SIZES = (1, 16)  # GiB
WATCHES = {"arm64": Watch(uart=arm64.UART), "x86": Watch(port=True)}
TARGETS = {"arm64": 0.3, "x86": 0.1}
FREE = re.compile(rb"\b(\d+) MiB of memory are free")


@dataclass(frozen=True)
class Measurement:
    """One run of one hypervisor, and the figures that it gives."""

    architecture: str
    gibibytes: int
    first_line: Figure
    idle: Figure
    kept: Figure

    @property
    def figures(self) -> tuple[Figure, ...]:
        return self.first_line, self.idle, self.kept


def _measurement(architecture: str, gibibytes: int) -> Measurement:
    name, machine = f"boot.{architecture}_{gibibytes}g", f"{architecture}, {gibibytes} GiB"
    return Measurement(
        architecture,
        gibibytes,
        Figure(f"{name}_first_line", f"{machine}: power-on to its first line"),
        Figure(f"{name}_idle", f"{machine}: power-on to idle", target=TARGETS[architecture]),
        Figure(f"{name}_kept", f"{machine}: memory that no guest can have", unit="KiB per GiB"),
    )


MEASUREMENTS = tuple(_measurement(architecture, size) for architecture in TARGETS for size in SIZES)
FIGURES = tuple(figure for each in MEASUREMENTS for figure in each.figures)


@dataclass(frozen=True)
class Hypervisor:
    """What is started, and how its figures are had of it.

    `last_line` is the text of the console's line that ends its boot; None: that ends at the first wait.
    `with_domain` is the command of a machine of so many GiB on which it can be asked for what is free; None: it says so
    by itself.
    """

    payload: qemu.Payload
    last_line: bytes | None = None
    with_domain: Callable[[int], list[str]] | None = None


Side = Mapping[str, Hypervisor]
"""A hypervisor's image for each architecture."""


def ours() -> Side:
    """The images of this project, built when they are not there."""
    return {name: Hypervisor(qemu.Payload(build.build(scenario.CONFIGS[name]))) for name in TARGETS}


def theirs() -> Side:
    """Debian's Xen. On x86 it stops at once without a module for domain 0, so there is one, which is no kernel."""
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    x86, module = folder / "xen-4.17-amd64", folder / "no-kernel"
    x86.write_bytes(gzip.decompress(peer.image("x86").read_bytes()))
    module.write_text("This is no kernel.\n")
    idle_module = folder / "domain-0"
    idle_module.write_bytes(xen_memory.domain_0())
    console = "com1=115200,8n1 console=com1"
    small = f"{console} dom0_mem={xen_memory.DOMAIN_MEMORY}M"
    arm64_image = peer.image("arm64")

    def arm64_with_domain(gibibytes: int) -> list[str]:
        traps = scenario.load("traps", arm64.HERE)
        machine = dataclasses.replace(traps.machine, memory=gibibytes << 10)
        options = emulation.Options(icount=True, hypervisor=arm64_image)
        return emulation.command(dataclasses.replace(traps, machine=machine), options)

    def x86_with_domain(gibibytes: int) -> list[str]:
        payload = qemu.Payload(x86, initrd=idle_module, bootargs=small)
        return qemu.command(_hardware("x86", gibibytes), payload, icount=True)

    return {
        "arm64": Hypervisor(qemu.Payload(arm64_image), b"*** LOADING DOMAIN 0 ***", arm64_with_domain),
        "x86": Hypervisor(
            qemu.Payload(x86, initrd=module, bootargs=console), b"ELF: not an ELF binary", x86_with_domain
        ),
    }


def _hardware(architecture: str, gibibytes: int) -> scenario.Machine:
    return dataclasses.replace(scenario.DEFAULTS[architecture], cpus=1, memory=gibibytes << 10)


def versions(with_xen: bool) -> dict[str, str]:
    """What a figure of Xen depends on: the emulators, and its packages."""
    bootstrap.ensure(*(scenario.DEFAULTS[name].needs[0] for name in TARGETS))
    every = [peer.versions(name, with_xen, with_kernel=False) for name in TARGETS]
    return {part: "; ".join(each[part] for each in every) for part in every[0]}


def measure(side: Side, wanted: Collection[Figure]) -> dict[Figure, int]:
    """The wanted figures of a hypervisor. Problem: it did not get as far as the figure needs."""
    found: dict[Figure, int] = {}
    for each in MEASUREMENTS:
        if not any(figure in wanted for figure in each.figures):
            continue
        hypervisor = side[each.architecture]
        found |= _measure(each, hypervisor)
        if each.kept in wanted and hypervisor.with_domain:
            progress("asking it for the memory that is free")
            found[each.kept] = xen_memory.kept(hypervisor.with_domain(each.gibibytes), each.gibibytes)
    return {figure: found[figure] for figure in FIGURES if figure in wanted}


def _measure(each: Measurement, hypervisor: Hypervisor) -> dict[Figure, int]:
    assert hypervisor.payload.kernel is not None
    progress(f"counting the boot of {hypervisor.payload.kernel.name} with {each.gibibytes} GiB")
    with _run(each, hypervisor) as (machine, stamps):
        deadline = time.monotonic() + RUN_SECONDS
        while _idle(hypervisor, machine, stamps) is None and machine.running and time.monotonic() < deadline:
            machine.read(POLL_SECONDS)
            stamps.update()
        idle = _idle(hypervisor, machine, stamps)
        if idle is None:
            raise Problem(f"{hypervisor.payload.kernel} did not become idle. The last lines:\n{machine.tail()}", 1)
        while machine.read(POLL_SECONDS):  # what was stamped may still be on its way
            pass
        output = bytes(machine.printed)
        found = {each.first_line: stamps.first_line(output), each.idle: idle}
        if hypervisor.with_domain is None:
            found[each.kept] = kept(output, each.gibibytes)
        return found


@contextmanager
def _run(each: Measurement, hypervisor: Hypervisor) -> Iterator[tuple[Machine, Stamps]]:
    hardware = _hardware(each.architecture, each.gibibytes)
    bootstrap.ensure(*hardware.needs)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stamps = Stamps(WATCHES[each.architecture], Path(folder))
        command = qemu.command(hardware, hypervisor.payload, icount=True)
        with Machine([*command, *stamps.options]) as machine:
            yield machine, stamps


def _idle(hypervisor: Hypervisor, machine: Machine, stamps: Stamps) -> int | None:
    """The count when the boot was over, None before."""
    if hypervisor.last_line is None:
        return stamps.wait
    place = machine.printed.find(hypervisor.last_line)
    start = machine.printed.rfind(b"\n", 0, place) + 1
    return stamps.uart[start] if place >= 0 and start < len(stamps.uart) else None


def kept(output: bytes, gibibytes: int) -> int:
    """KiB of each GiB that the hypervisor has not to give away, by what it says is free. Problem: it does not say."""
    free = FREE.search(output)
    if free is None:
        raise Problem(f"the hypervisor did not say how much memory is free: {output!r}", 1)
    return ((gibibytes << 10) - int(free[1]) << 10) // gibibytes
