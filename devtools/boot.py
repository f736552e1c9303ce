"""From a scenario to the command that boots it: builds, prepares the guests' files, compiles their partition."""

import dataclasses
import hashlib
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from devtools import build, guests, qemu, tree
from devtools.paths import BUILD
from devtools.report import Problem
from devtools.scenario import CONFIGS, Scenario


@dataclass(frozen=True)
class Options:
    """What a run changes in a scenario. None and False leave it as it is."""

    cpu: str | None = None
    cpus: int | None = None
    icount: bool = False
    seed: int | None = None
    hypervisor: Path | None = None


def command(scenario: Scenario, options: Options = Options()) -> list[str]:
    """QEMU's command for a scenario, with everything that it names built and fetched."""
    machine = scenario.machine
    cpus = 1 if options.icount else options.cpus or machine.cpus
    machine = dataclasses.replace(machine, cpu=options.cpu or machine.cpu, cpus=cpus)
    scenario = dataclasses.replace(scenario, machine=machine)
    payload = hypervised(scenario, options) if machine.hypervisor else bare(scenario)
    return qemu.command(machine, payload, icount=options.icount, seed=options.seed)


def hypervised(scenario: Scenario, options: Options) -> qemu.Payload:
    """The hypervisor with the domains' tree, and their kernels and ramdisks where the tree says they are."""
    from tools.partition import PartitionError, load

    machine = scenario.machine
    image = options.hypervisor.absolute() if options.hypervisor else build.build(CONFIGS[machine.arch])
    if not image.is_file():
        raise Problem(f"there is no hypervisor image {image}")
    try:
        partition = load(scenario.partition)
        resolve = resolver(scenario, [domain.kernel for domain in partition.domains])
        compiled = partition.compile(qemu.base_tree(machine), resolve)
    except PartitionError as error:
        raise Problem(str(error)) from None
    dtb = compiled.dtb if options.seed is None else tree.seeded(compiled.dtb, options.seed)
    place = BUILD / "trees" / f"{scenario.name}-{hashlib.sha256(dtb).hexdigest()[:16]}.dtb"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(dtb)
    return qemu.Payload(image, dtb=place, loads=[(load.address, load.path) for load in compiled.loads])


def bare(scenario: Scenario) -> qemu.Payload:
    """The only domain's kernel on the machine itself."""
    domains = tomllib.loads(scenario.partition.read_text()).get("domain", [])
    if len(domains) != 1 or "kernel" not in domains[0]:
        raise Problem(f"{scenario.path}: a machine without hypervisor runs one [[domain]] with a kernel, write one")
    (domain,) = domains
    resolve = resolver(scenario, [domain["kernel"]])
    ramdisk = domain.get("ramdisk")
    return qemu.Payload(
        resolve(domain["kernel"]),
        initrd=resolve(ramdisk) if ramdisk else None,
        bootargs=domain.get("bootargs", ""),
    )


def resolver(scenario: Scenario, kernels: Iterable[str]) -> Callable[[str], Path]:
    """From names in the scenario to files, the unikernels among these kernels freshly built."""
    config = CONFIGS[scenario.machine.arch]
    if any(kernel.startswith(guests.UNIKERNEL) for kernel in kernels):
        build.build(config)
    unikernels = build.folder(config) / "qemu-tests" / "guests"
    return guests.resolver(scenario.machine.arch, scenario.partition.parent, unikernels)
