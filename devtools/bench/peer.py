"""Debian's Xen, the peer of the comparison, and what was recorded of it.

The package is unpacked in the cache and never installed. xen_recorded.json holds its figures with the versions that
they belong to, so that a ratio can be had without running Xen.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devtools import debian, guests
from devtools.qemu import PROGRAMS
from devtools.report import Problem

XEN = "xen-hypervisor-4.17"
RECORDED = Path(__file__).with_name("xen_recorded.json")


def image(architecture: str) -> Path:
    """The image of Debian's Xen, fetched when it is not in the cache. That for x86 is compressed by gzip."""
    compressed = ".gz" if architecture == "x86" else ""
    return _package(architecture) / "boot" / f"xen-4.17-{guests.DEBIANS[architecture]}{compressed}"


def _package(architecture: str) -> Path:
    name = guests.DEBIANS[architecture]
    return debian.unpacked(f"{XEN}-{name}", name)


def versions(architecture: str, with_xen: bool, with_kernel: bool = True) -> dict[str, str]:
    """What a figure of Xen depends on: the packages of Xen and of the guest's kernel, and the emulator."""
    found = {"emulator": _emulator(architecture)}
    if with_kernel:
        found["kernel"] = _archive(guests.kernel(guests.DEBIANS[architecture]).parents[1])
    return found | ({"xen": _archive(_package(architecture))} if with_xen else {})


def _archive(unpacked: Path) -> str:
    """Name and version of an unpacked package."""
    name, version, _ = (unpacked / "PACKAGE").read_text().strip().split("_")
    return f"{name} {version.replace('%3a', ':')}"


def _emulator(architecture: str) -> str:
    said = subprocess.run([PROGRAMS[architecture], "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (.*)", said)
    return f"{PROGRAMS[architecture]} {match[1] if match else said.strip()}"


@dataclass(frozen=True)
class Recording:
    """Figures of Xen by name, and the versions that they were taken with."""

    versions: Mapping[str, str]
    figures: Mapping[str, int | None]

    def write(self, name: str) -> None:
        """Puts the recording of one set into the file and leaves the others."""
        every = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        every[name] = {"versions": dict(self.versions), "figures": dict(self.figures)}
        RECORDED.write_text(json.dumps(every, indent=2) + "\n")

    @classmethod
    def read(cls, name: str) -> "Recording":
        """Problem: nothing was recorded for the set."""
        every = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
        if name not in every:
            raise Problem(f"{RECORDED} has no figures of Xen for {name}: run ./dev bench {name} --record")
        return cls(**every[name])

    def figure(self, name: str) -> int | None:
        """A figure by name, None when Xen has no such feature. Problem: it is not among the recorded."""
        if name not in self.figures:
            raise Problem(
                f"{RECORDED} has no figure of Xen for {name}: run ./dev bench {name.partition('.')[0]} --record"
            )
        return self.figures[name]

    def differences(self, now: Mapping[str, str]) -> list[str]:
        """In words, which of the versions here are not those of the recording."""
        return [
            f"recorded with {self.versions[part]}, this run has {version}"
            for part, version in now.items()
            if self.versions.get(part) not in (None, version)
        ]
