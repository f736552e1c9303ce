"""Bochs' configuration for a scenario: the emulator that has Intel CPUs with x2APIC, TSC deadline timer and VMX.

Bochs counts its own time by the instructions that it executes, so a run repeats itself as it is.
"""

import hashlib
import sys
from pathlib import Path

from devtools import bochs_console
from devtools.paths import BUILD
from devtools.qemu import Payload
from devtools.scenario import Machine

INSTRUCTIONS_PER_SECOND = 50_000_000
"""Of the machine's time. With many more the BIOS gives up waiting for a drive, by its count of instructions."""

SETTINGS = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model={cpu}, count={cpus}, ips={speed}, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: {drive}
boot: {boot}
com1: enabled=1, mode=term, dev={{terminal}}
clock: sync=none, time0=1767225600
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
mouse: enabled=0
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""
"""A screen that nobody looks at, the serial port on bochs_console's terminal, and an end at the first panic of Bochs.

The calendar starts at 2026-01-01T00:00:00Z, as QEMU's does with --icount.
"""
DRIVES = {
    "iso": ("cdrom", "type=cdrom, path={medium}, status=inserted"),
    "disk": ("disk", "type=disk, mode=volatile, path={medium}, journal={{folder}}/written"),
}


def command(machine: Machine, payload: Payload, name: str) -> list[str]:
    """The whole command. Its configuration and Bochs' log lie in build/bochs, under a name for what is run."""
    text = settings(machine, payload)
    place = BUILD / "bochs" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.with_suffix(".bochsrc").write_text(text)
    script = Path(bochs_console.__file__)
    return [sys.executable, str(script), str(place.with_suffix(".bochsrc")), str(place.with_suffix(".log"))]


def settings(machine: Machine, payload: Payload) -> str:
    """The configuration, in which {terminal} and {folder} are left for bochs_console to fill in."""
    boot, drive = DRIVES[machine.boot]
    return SETTINGS.format(
        cpu=machine.cpu,
        cpus=machine.cpus,
        memory=machine.memory,
        speed=INSTRUCTIONS_PER_SECOND,
        boot=boot,
        drive=drive.format(medium=payload.medium),
    )
