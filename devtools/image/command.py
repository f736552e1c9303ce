"""The command line of `./dev image`."""

import argparse
from pathlib import Path

from devtools import build
from devtools.image.media import Contents, make
from devtools.image.menu import Entry
from devtools.report import Problem, progress

NAMES = {"iso": "constrictor.iso", "disk": "constrictor.disk"}
SELF_TESTS = Entry("Constrictor, self-tests", "selftest=all")


def main(arguments: argparse.Namespace) -> int:
    """Prints where the image is."""
    hypervisor = Path(arguments.hypervisor).absolute() if arguments.hypervisor else build.build(arguments.config)
    if not hypervisor.is_file():
        raise Problem(f"there is no hypervisor image {hypervisor}")
    if build.architecture(arguments.config) == "arm64":
        if arguments.out or arguments.cmdline:
            raise Problem(
                f"{arguments.config} is for Arm boards, whose boot loader takes {hypervisor} itself"
                " and the command line from the device tree: leave --out and --cmdline out"
            )
        progress(f"{arguments.config} is for Arm boards: the file below is what a boot loader loads and enters at EL2,")
        progress("as it does a Linux Image, with a device tree; there is no medium to make that starts by itself")
        print(hypervisor)
        return 0
    out = Path(arguments.out) if arguments.out else build.folder(arguments.config) / NAMES[arguments.kind]
    make(arguments.kind, Contents(hypervisor, menu(arguments.cmdline)), out)
    progress(WRITTEN[arguments.kind])
    print(out)
    return 0


def menu(command_line: str) -> tuple[Entry, ...]:
    """What a person may want to start on a machine that was never tried before."""
    return (Entry("Constrictor", command_line), SELF_TESTS)


WRITTEN = {
    "iso": "a CD, or a USB stick when copied to the whole of it (docs/images.md)",
    "disk": "copy it to the whole of a disk or USB stick (docs/images.md)",
}
