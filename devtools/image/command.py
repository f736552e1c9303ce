"""The command line of `./dev image`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from devtools import build
from devtools.image.media import Contents, make
from devtools.image.menu import Entry
from devtools.image.sets import entries
from devtools.report import Problem, progress

NAMES = {"iso": "constrictor.iso", "disk": "constrictor.disk"}
SELF_TESTS = Entry("Constrictor, self-tests", "selftest=all")


def main(arguments: argparse.Namespace) -> int:
    """Prints where the image is."""
    hypervisor = Path(arguments.hypervisor).absolute() if arguments.hypervisor else build.build(arguments.config)
    if not hypervisor.is_file():
        raise Problem(f"there is no hypervisor image {hypervisor}")
    if build.architecture(arguments.config) == "arm64":
        if arguments.out or arguments.cmdline or arguments.sets:
            raise Problem(
                f"{arguments.config} is for Arm boards, whose boot loader takes {hypervisor} itself"
                " and guests and command line from the device tree: leave SET, --out and --cmdline out"
            )
        progress(f"{arguments.config} is for Arm boards: the file below is what a boot loader loads and enters at EL2,")
        progress("as it does a Linux Image, with a device tree; there is no medium to make that starts by itself")
        print(hypervisor)
        return 0
    if arguments.timeout < 0:
        raise Problem(f"--timeout {arguments.timeout}: write seconds, 0 to start at once")
    offered = (*entries(arguments.sets, arguments.config, arguments.cmdline), Entry("Constrictor", arguments.cmdline))
    contents = Contents(hypervisor, (*offered, SELF_TESTS), arguments.timeout, default(arguments.default, offered))
    out = Path(arguments.out) if arguments.out else build.folder(arguments.config) / NAMES[arguments.kind]
    make(arguments.kind, contents, out)
    progress("the menu offers: " + "; ".join(entry.title for entry in contents.entries))
    progress(WRITTEN[arguments.kind])
    print(out)
    return 0


def default(name: str | None, offered: Sequence[Entry]) -> int:
    """The number of the entry that starts by itself. The hypervisor alone is the first when there are no sets."""
    titles = [entry.title for entry in offered]
    wanted = titles[0] if name is None else Path(name).stem
    if wanted not in titles:
        raise Problem(f"--default {name}: the menu has no such set, write one of {', '.join(titles)}")
    return titles.index(wanted)


WRITTEN = {
    "iso": "a CD, or a USB stick when copied to the whole of it (docs/images.md)",
    "disk": "copy it to the whole of a disk or USB stick (docs/images.md)",
}
