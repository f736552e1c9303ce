"""From a bare Debian machine to the environment that a command needs. Standard library only.

A package counts as present when its witness, a program on PATH or a file, is there: that is a handful of stat
calls, so asking every time costs nothing and stays true when a package is removed. The Python environment
carries the digest of what it was made from and is made anew when that changes.
"""

import glob
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.paths import ROOT, VENV
from devtools.report import Problem, locked, progress

REQUIREMENTS = ROOT / "requirements.txt"
STAMP = VENV / "made-from"
APT_LOCK_SECONDS = 300


@dataclass(frozen=True)
class Package:
    """A Debian package with the program, or the glob pattern of a file, that proves its presence."""

    name: str
    witness: str

    def present(self) -> bool:
        if "/" in self.witness:
            return bool(glob.glob(self.witness))
        return shutil.which(self.witness) is not None


COMPILING = (
    Package("clang-19", "clang-19"),
    Package("lld-19", "ld.lld-19"),
    Package("llvm-19", "llvm-objcopy-19"),
    Package("ninja-build", "ninja"),
)
SANITIZING = (
    Package("libc6-dev", "/usr/include/stdio.h"),
    Package("libclang-rt-19-dev", f"/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-{platform.machine()}.so"),
)
BUILDING_PYTHON = (
    *COMPILING,
    Package("python3-venv", str(Path(sysconfig.get_path("stdlib")) / "ensurepip" / "__init__.py")),
    Package("python3-dev", str(Path(sysconfig.get_path("include")) / "Python.h")),
)
"""For making .venv: some Python packages exist only as source, which clang compiles."""
HEADERS = (Package("libxen-dev", "/usr/include/xen/argo.h"),)
"""Xen's public headers, which the tests compare the hypervisor's layouts and constants with."""
ACPI = (Package("acpica-tools", "iasl"),)
"""The compiler of ACPI's tables, by which tests read those that guests get."""
DEBUGGING = (Package("gdb-multiarch", "gdb-multiarch"),)
FORMATS = (Package("device-tree-compiler", "dtc"), Package("u-boot-tools", "mkimage"))
"""By which tests read what the partition compiler makes."""

NEEDS: dict[str, tuple[Package, ...]] = {
    "compile": COMPILING,
    "sanitize": SANITIZING,
    "partition": (),
    "debug": DEBUGGING,
    "headers": HEADERS,
    "acpi": ACPI,
    "formats": FORMATS,
    "qemu-arm64": (Package("qemu-system-arm", "qemu-system-aarch64"),),
    "qemu-x86": (Package("qemu-system-x86", "qemu-system-x86_64"),),
    "uboot": (Package("u-boot-qemu", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"),),
    "uefi": (Package("ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"),),
    "bochs": (
        Package("bochs", "bochs-bin"),
        # the least of what `bochs` asks for as a display
        Package("bochs-term", "/usr/lib/*/bochs/plugins/libbx_term_gui.so"),
        Package("bochsbios", "/usr/share/bochs/BIOS-bochs-latest"),
        Package("vgabios", "/usr/share/vgabios/vgabios.bin"),
    ),
    "image": (
        Package("grub-common", "grub-mkimage"),
        Package("grub-pc-bin", "/usr/lib/grub/i386-pc/boot.img"),
        Package("grub-efi-amd64-bin", "/usr/lib/grub/x86_64-efi/kernel.img"),
        Package("mtools", "mcopy"),
        Package("xorriso", "xorriso"),
    ),
}
"""What a command may ask for and the packages behind it. Whatever it is, .venv is needed too."""


def enter(needs: Iterable[str], arguments: Sequence[str]) -> int:
    """Installs what is missing for `needs`, then becomes `python -m devtools` in .venv. Returns only on failure."""
    try:
        install(missing(needs))
        make_environment()
    except Problem as problem:
        print(f"dev: {problem}", file=sys.stderr)
        return problem.exit_status
    environment = dict(os.environ)
    environment["PATH"] = f"{VENV / 'bin'}:{environment.get('PATH', '/usr/bin:/bin')}"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    environment.pop("PYTHONHOME", None)
    python = VENV / "bin" / "python"
    os.execve(python, [str(python), "-m", "devtools", *arguments], environment)


def missing(needs: Iterable[str]) -> list[Package]:
    """The packages that are not there, in a stable order."""
    wanted = {package for need in needs for package in NEEDS[need]}
    if not environment_is_current():
        wanted |= set(BUILDING_PYTHON)
    return sorted((package for package in wanted if not package.present()), key=lambda package: package.name)


def ensure(*needs: str) -> None:
    """For a need that shows only while a command runs: installs what is missing, as `install` does."""
    install(missing(needs))


def install(packages: Sequence[Package]) -> None:
    """Installs Debian packages when this is root; otherwise raises the Problem that says which command to run."""
    if not packages:
        return
    names = [package.name for package in packages]
    if shutil.which("apt-get") is None:
        raise Problem(
            f"these packages of Debian are missing, and there is no apt-get to install them: {' '.join(names)}"
        )
    if os.geteuid() != 0:
        command = f"sudo sh -c 'apt-get update && apt-get install --yes --no-install-recommends {' '.join(names)}'"
        raise Problem(f"Debian packages are missing. Install them with this command, then try again:\n  {command}")
    progress(f"installing Debian packages: {' '.join(names)}")
    apt = ["apt-get", "--quiet", "--option", f"DPkg::Lock::Timeout={APT_LOCK_SECONDS}"]
    quietly([*apt, "update"], may_fail=True)  # one unreachable source of many must not stop the installation
    quietly([*apt, "install", "--yes", "--no-install-recommends", *names])
    absent = [package for package in packages if not package.present()]
    if absent:
        raise Problem("; ".join(f"apt installed {p.name}, but it brought no {p.witness}" for p in absent))


def digest() -> str:
    """Of everything that .venv is made from: the Python, the place, the pinned packages."""
    recipe = f"{sys.version_info.major}.{sys.version_info.minor}\n{VENV}\n".encode() + REQUIREMENTS.read_bytes()
    return hashlib.sha256(recipe).hexdigest()


def environment_is_current() -> bool:
    """Whether .venv was made from exactly what is asked for now, and its interpreter is still there."""
    return STAMP.exists() and STAMP.read_text() == digest() and (VENV / "bin" / "python").exists()


def make_environment() -> None:
    """Makes .venv anew from requirements.txt unless it is current."""
    if environment_is_current():
        return
    with locked(ROOT / ".venv.lock"):
        if environment_is_current():
            return
        progress("making the Python environment .venv from requirements.txt (about a minute)")
        quietly([sys.executable, "-m", "venv", "--clear", str(VENV)])
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        quietly([*pip, "--no-deps", "--requirement", str(REQUIREMENTS)])
        STAMP.write_text(digest())


def quietly(command: Sequence[str], may_fail: bool = False) -> None:
    """Runs a command whose output matters only when it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "CC": "clang-19", "CXX": "clang++-19"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode and not may_fail:
        raise Problem(f"{' '.join(command)} failed:\n{done.stdout}")
