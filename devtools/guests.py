"""The files behind the names that a scenario uses in `kernel` and `ramdisk`."""

from collections.abc import Callable
from pathlib import Path

from devtools import debian, initramfs, vmlinux
from devtools.report import Problem

UNIKERNEL = "guest:"
DEBIANS = {"arm64": "arm64", "x86": "amd64"}
"""What Debian calls an architecture of ours."""


class Missing(Problem, LookupError):
    """A name that stands for no file: a partition file that has it is told of with the line."""


def resolver(architecture: str, beside: Path, unikernels: Path) -> Callable[[str], Path]:
    """The function from names to files for one scenario.

    "debian" is the kernel of Debian's cloud images, "vmlinux" what is packed in it on x86, "busybox" our initramfs,
    "network" the same with a network card's driver, "guest:NAME" the unikernel of qemu-tests/guests/NAME as built in
    `unikernels`; anything else is a path relative to the folder `beside`.
    """

    def resolve(name: str) -> Path:
        if name == "debian":
            return kernel(DEBIANS[architecture])
        if name == "vmlinux" and architecture == "x86":
            return vmlinux.unpacked(kernel(DEBIANS[architecture]))
        if name == "busybox":
            return initramfs.busybox(DEBIANS[architecture])
        if name == "network":
            return initramfs.network(DEBIANS[architecture], kernel_package(DEBIANS[architecture]))
        if name.startswith(UNIKERNEL):
            return unikernel(name.removeprefix(UNIKERNEL), unikernels)
        path = beside / name
        if not path.is_file():
            raise Missing(
                f"there is no file {path}: write debian, busybox, network, guest:NAME, or a path relative to {beside}"
            )
        return path.resolve()

    return resolve


def kernel(architecture: str) -> Path:
    """The kernel that Debian builds for clouds. On arm64 it is an uncompressed Image, on amd64 a bzImage."""
    (path,) = (kernel_package(architecture) / "boot").glob("vmlinuz-*")
    return path


def kernel_package(architecture: str) -> Path:
    """The folder of the unpacked package, with the modules."""
    return debian.unpacked(f"linux-image-cloud-{architecture}", architecture, behind="linux-image-")


def device_tree(name: str) -> Path:
    """A board's, as Debian's arm64 kernel has it: its maker's folder, and the file."""
    path = debian.device_trees() / name
    if not path.is_file():
        raise Problem(f"Debian's kernel has no device tree {name}: {path} does not exist")
    return path


def unikernel(name: str, folder: Path) -> Path:
    """A unikernel that the build made."""
    path = folder / f"{name}.image"
    if not path.is_file():
        known = ", ".join(sorted(image.stem for image in folder.glob("*.image"))) or "none"
        raise Missing(f"there is no unikernel {name!r}; those that the build made in {folder}: {known}")
    return path
