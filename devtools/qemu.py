"""QEMU's command line for a scenario, and the device tree of the machine that it emulates."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools import debian, guests
from devtools.paths import cache
from devtools.report import Problem, locked
from devtools.scenario import Machine

PROGRAMS = {"arm64": "qemu-system-aarch64", "x86": "qemu-system-x86_64"}
NEWER_PARTS = ("qemu-system-common", "qemu-system-data", "qemu-system-modules-opengl")
NEWER = {"arm64": ("qemu-system-arm", *NEWER_PARTS), "x86": ("qemu-system-x86", "seabios", *NEWER_PARTS)}
"""The packages of the QEMU that was backported to the release. It runs from where they are unpacked; its libraries are
those of Debian's own QEMU.
"""
DUMP_SECONDS = 60

TIME_IN_INSTRUCTIONS = ("-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm")
"""One instruction is one nanosecond of the machine's time, and its calendar starts at a fixed day."""

SURROUNDINGS = ("-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none")
"""Nothing but what is asked for. A machine that resets itself has stopped."""
SERIAL = {
    "com1": ("-serial", "stdio"),
    "com2": ("-serial", "null", "-serial", "stdio"),
    "pci": ("-chardev", "stdio,id=terminal", "-device", "pci-serial,chardev=terminal"),
    "none": (),
}
"""For Machine.serial: the port on our pipes; Ctrl-A is the hypervisor's."""

OVMF = Path("/usr/share/OVMF")
UEFI = (
    *("-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}"),
    *("-drive", f"if=pflash,format=raw,snapshot=on,file={OVMF / 'OVMF_VARS_4M.fd'}"),
)
"""UEFI in place of SeaBIOS. What it stores in its variables is forgotten."""
MEDIA = {
    "iso": ("ide-cd", "media=cdrom,readonly=on"),
    "disk": ("ide-hd", "snapshot=on"),
}
"""For Machine.boot: the device, and how it holds the file, which stays as it is."""


@dataclass(frozen=True)
class Payload:
    """What is put into the machine before it starts: `loads` are addresses and files.

    Either a kernel that the emulator loads, with what belongs to it, or a medium to boot from.
    """

    kernel: Path | None = None
    medium: Path | None = None
    dtb: Path | None = None
    initrd: Path | None = None
    bootargs: str = ""
    loads: Sequence[tuple[int, Path]] = ()


def command(machine: Machine, payload: Payload, *, icount: bool = False, seed: int | None = None) -> list[str]:
    """The whole command. `seed` makes the machine's own random numbers repeatable."""
    words = [*hardware(machine), *SURROUNDINGS, *SERIAL[machine.serial]]
    if payload.kernel:
        words += ["-kernel", str(payload.kernel)]
    if payload.medium:
        device, held = MEDIA[machine.boot]
        words += ["-drive", f"if=none,id=medium,format=raw,{held},file={_escaped(payload.medium)}"]
        words += ["-device", f"{device},drive=medium,bootindex=0"]
    if machine.firmware == "uefi":
        words += UEFI
    if payload.dtb:
        words += ["-dtb", str(payload.dtb)]
    if payload.initrd:
        words += ["-initrd", str(payload.initrd)]
    if payload.bootargs:
        words += ["-append", payload.bootargs]
    for address, path in payload.loads:
        words += ["-device", f"loader,file={_escaped(path)},addr={address:#x},force-raw=on"]
    if icount:
        words += TIME_IN_INSTRUCTIONS
    if seed is not None:
        words += ["-seed", str(seed)]
    return words + list(machine.extra)


def hardware(machine: Machine, *options: str) -> list[str]:
    """The part of the command that says what is emulated; `options` are added to the machine's."""
    words = [machine.machine]
    if machine.machine == "virt":
        words += [f"gic-version={machine.gic_version}", "dtb-randomness=off"]
    if (machine.machine == "virt" or machine.board) and machine.hypervisor:
        words.append("virtualization=on")
    return [
        *_start(machine),
        *("-machine", ",".join([*words, *options])),
        *("-cpu", machine.cpu),
        *("-smp", str(machine.cpus)),
        *("-m", str(machine.memory)),
    ]


def base_tree(machine: Machine) -> bytes:
    """The device tree of a machine: a board's, or the one that QEMU generates, which is kept by what is emulated and by
    which QEMU.
    """
    if machine.board:
        return guests.device_tree(machine.board.tree).read_bytes()
    words = hardware(machine)
    program = _program(machine)
    key = "\0".join([*words, *machine.extra, str(program.stat().st_mtime_ns)])
    place = cache() / "trees" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.dtb"
    if not place.exists():
        with locked(place.parent / ".lock"):
            partial = place.with_suffix(".partial")
            dump = [
                *hardware(machine, f"dumpdtb={_escaped(partial)}"),
                "-nodefaults",
                "-display",
                "none",
                *machine.extra,
            ]
            done = subprocess.run(
                dump, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DUMP_SECONDS, check=False
            )
            if done.returncode or not partial.exists():
                raise Problem(f"QEMU did not generate its device tree:\n{' '.join(dump)}\n{done.stderr}")
            partial.rename(place)
    return place.read_bytes()


def _start(machine: Machine) -> list[str]:
    """What the command begins with. The newer program looks for its files where they would be if it were installed,
    unless it is told: modules of another build it would refuse, with a complaint on the console.
    """
    program = _program(machine)
    settings = ["QEMU_AUDIO_DRV=none"] if machine.board else []  # there may be a sound device
    if machine.emulator != "newer-qemu":
        return [*(["env", *settings] if settings else []), str(program)]
    root = program.parents[1]
    (modules,) = root.glob("lib/*/qemu")
    folders = [word for name in ("qemu", "seabios") for word in ("-L", str(root / "share" / name))]
    return ["env", *settings, f"QEMU_MODULE_DIR={modules}", str(program), *folders]


def _program(machine: Machine) -> Path:
    name = PROGRAMS[machine.arch]
    if machine.emulator == "newer-qemu":
        return debian.backported(name, NEWER[machine.arch]) / "usr" / "bin" / name
    program = shutil.which(name)
    if program is None:
        raise Problem(f"{name} is not installed")
    return Path(program)


def _escaped(path: Path) -> str:
    """A path inside an option list, where a comma separates options unless doubled."""
    return str(path).replace(",", ",,")
