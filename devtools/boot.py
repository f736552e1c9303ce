"""From a scenario to the command that boots it: builds, prepares the guests' files, compiles their partition."""

import dataclasses
import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devtools import bochs, bootstrap, build, guests, image, qemu, tree
from devtools.paths import BUILD
from devtools.report import Problem
from devtools.scenario import Machine, Scenario, unfit

if TYPE_CHECKING:
    from tools.partition import Partition


@dataclass(frozen=True)
class Options:
    """What a run changes in a scenario. None and False leave it as it is."""

    cpu: str | None = None
    cpus: int | None = None
    firmware: str | None = None
    emulator: str | None = None
    icount: bool = False
    seed: int | None = None
    hypervisor: Path | None = None
    added: str = ""
    """Options for the hypervisor, behind those of the scenario."""


def command(scenario: Scenario, options: Options = Options()) -> list[str]:
    """The emulator's command for a scenario, with everything that it names built and fetched."""
    machine = scenario.machine
    icount = options.icount or machine.icount
    machine = dataclasses.replace(
        machine,
        cpu=options.cpu or machine.cpu,
        cpus=1 if icount else options.cpus or machine.cpus,
        firmware=options.firmware or machine.firmware,
        emulator=options.emulator or machine.emulator,
    )
    for key, why in unfit(machine):
        raise Problem(f"{scenario.name} cannot start so: {key}: {why}")
    scenario = dataclasses.replace(scenario, machine=machine)
    bootstrap.ensure(*machine.needs)
    payload = PAYLOADS[machine.arch](scenario, options) if machine.hypervisor else bare(scenario)
    if machine.emulator == "bochs":
        return bochs.command(machine, payload, scenario.name)
    return qemu.command(machine, payload, icount=icount, seed=options.seed)


def on_arm64(scenario: Scenario, options: Options) -> qemu.Payload:
    """The hypervisor with the domains' tree, and their kernels and ramdisks where the tree says they are."""
    machine = scenario.machine
    hypervisor = hypervisor_of(machine, options)
    partition = partition_of(scenario, options.added)
    resolve = resolver(machine.arch, machine.config, partition)
    with mistakes():
        compiled = partition.compile(qemu.base_tree(machine), resolve)
    dtb = compiled.dtb if options.seed is None else tree.seeded(compiled.dtb, options.seed)
    loads = [
        (load.address, load.path if load.content is None else kept_tree(f"{scenario.name}-{load.domain}", load.content))
        for load in compiled.loads
    ]
    return qemu.Payload(hypervisor, dtb=kept_tree(scenario.name, dtb), loads=loads)


def on_x86(scenario: Scenario, options: Options) -> qemu.Payload:
    """The hypervisor with its command line: as the kernel, or as the only entry of a medium's menu, with the domains'
    tree and files as modules.
    """
    machine = scenario.machine
    partition = partition_of(scenario, options.added)
    hypervisor = hypervisor_of(machine, options)
    if machine.boot == "kernel":
        if partition.domains:
            raise Problem(f'{scenario.path}: QEMU loads no modules with a kernel, write boot = "iso" under [machine]')
        return qemu.Payload(hypervisor, bootargs=partition.command_line or "")
    entry = menu_entry(scenario.name, partition, machine.config, options.seed)
    return qemu.Payload(medium=image.cached(machine.boot, image.Contents(hypervisor, (entry,), timeout=0)))


def menu_entry(title: str, partition: "Partition", config: str, seed: int | None = None) -> image.Entry:
    """The entry of a medium's menu that starts a partition's domains; unikernels come from a configuration's build."""
    line = partition.command_line or ""
    if not partition.domains:
        return image.Entry(title, line)
    with mistakes():
        compiled = partition.compile_modules(resolver("x86", config, partition))
    dtb = compiled.dtb if seed is None else tree.seeded(compiled.dtb, seed)
    return image.Entry(title, line, (kept_tree(title, dtb), *compiled.files))


def kept_tree(name: str, dtb: bytes) -> Path:
    """A file with the tree."""
    place = BUILD / "trees" / f"{name}-{hashlib.sha256(dtb).hexdigest()[:16]}.dtb"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(dtb)
    return place


PAYLOADS = {"arm64": on_arm64, "x86": on_x86}


def hypervisor_of(machine: Machine, options: Options) -> Path:
    """The image to boot: the one that was asked for, or the one that is built here."""
    hypervisor = options.hypervisor.absolute() if options.hypervisor else build.build(machine.config)
    if not hypervisor.is_file():
        raise Problem(f"there is no hypervisor image {hypervisor}")
    return hypervisor


def partition_of(scenario: Scenario, added: str = "") -> "Partition":
    return read_partition(scenario.partition, added)


def read_partition(path: Path, added: str = "") -> "Partition":
    """A partition file, with options added to the hypervisor's own."""
    from tools.partition import load

    with mistakes():
        partition = load(path)
    line = f"{partition.command_line or ''} {added}".strip()
    return dataclasses.replace(partition, command_line=line if line or partition.command_line is not None else None)


@contextmanager
def mistakes() -> Iterator[None]:
    """What is wrong in a partition file ends the command like any other problem."""
    from tools.partition import PartitionError

    try:
        yield
    except PartitionError as error:
        raise Problem(str(error)) from None


def bare(scenario: Scenario) -> qemu.Payload:
    """The only domain's kernel on the machine itself."""
    domains = tomllib.loads(scenario.partition.read_text()).get("domain", [])
    if len(domains) != 1 or "kernel" not in domains[0]:
        raise Problem(f"{scenario.path}: a machine without hypervisor runs one [[domain]] with a kernel, write one")
    (domain,) = domains
    machine = scenario.machine
    resolve = files_of(machine.arch, machine.config, scenario.partition.parent, [domain["kernel"]])
    ramdisk = domain.get("ramdisk")
    return qemu.Payload(
        resolve(domain["kernel"]),
        initrd=resolve(ramdisk) if ramdisk else None,
        bootargs=domain.get("bootargs", ""),
    )


def resolver(arch: str, config: str, partition: "Partition") -> Callable[[str], Path]:
    return files_of(arch, config, partition.path.parent, [domain.kernel for domain in partition.domains])


def files_of(arch: str, config: str, beside: Path, kernels: Iterable[str]) -> Callable[[str], Path]:
    """From the names in a partition file to files, the unikernels among these kernels freshly built."""
    if any(kernel.startswith(guests.UNIKERNEL) for kernel in kernels):
        build.build(config)
    return guests.resolver(arch, beside, build.folder(config) / "qemu-tests" / "guests")
