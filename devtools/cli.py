"""The commands of `./dev` and their options. Standard library only; a command's own module is imported when it runs."""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from devtools import scenario
from devtools.report import Problem

EPILOGUE = """Everything a command needs is installed when it is first needed: by apt when you are root,
otherwise the command to run is printed. Downloads are kept in .cache (or $CONSTRICTOR_CACHE)."""


class Parser(argparse.ArgumentParser):
    """Says which commands exist when asked for one that does not."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            self.error(f"there is no command {value!r}; the commands are {', '.join(action.choices)}")
        super()._check_value(action, value)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command line; `module` and `needs` say what runs it and what that takes. Exits on --help."""
    if arguments[:1] == ["bench"]:  # has many options of its own, which its own parser explains
        emulators = ("qemu-arm64", "qemu-x86") if "boot" in arguments else ("qemu-arm64",)
        return argparse.Namespace(module="bench", needs=("compile", *emulators), argv=list(arguments[1:]))
    if arguments[:1] == ["partition"]:
        return argparse.Namespace(module="partition", needs=("partition",), argv=list(arguments[1:]))
    parser = Parser(prog="./dev", epilog=EPILOGUE, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (add_run, add_test, add_build, add_image, add_gdb, add_trace, add_menuconfig, add_clean):
        add(commands)
    commands.add_parser("bench", help="count instructions here and on Debian's Xen", add_help=False)
    commands.add_parser("partition", help="check, compile and draw a partition file", add_help=False)
    if not arguments:
        parser.print_help()
        parser.exit(2)
    parsed = parser.parse_args(arguments, argparse.Namespace(needs=()))
    if callable(parsed.needs):
        parsed.needs = parsed.needs(parsed)
    return parsed


def dispatch(arguments: argparse.Namespace) -> int:
    """Runs the command that was parsed and returns its exit status."""
    try:
        main: Callable[[Any], int] = importlib.import_module(f"devtools.{arguments.module}").main
        return main(getattr(arguments, "argv", arguments))
    except Problem as problem:
        print(f"dev: {problem}", file=sys.stderr)
        return problem.exit_status
    except KeyboardInterrupt:
        print("dev: interrupted", file=sys.stderr)
        return 130


Commands = Any  # argparse names the type of its list of commands only privately


def add_run(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="build, prepare real guests, boot them in QEMU, hand over the console",
        description="Boots a scenario. With --until or --send it runs unattended: exit status 0 when every text of"
        " --until appeared, 1 at the timeout or when the machine stopped first, 2 when it could not start.",
    )
    run.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a name of --list; without it, the first of them")
    run.add_argument("--list", action="store_true", help="name the scenarios, the default first")
    run.add_argument("--until", action="append", default=[], metavar="TEXT", help="end when TEXT appeared; repeatable")
    run.add_argument(
        "--send",
        action="append",
        default=[],
        metavar="TEXT=>KEYS",
        help=r"when TEXT appeared type KEYS (with \r, \n, \t, \x01, \\); repeatable, in the order given;"
        " a TEXT used again waits for its next appearance",
    )
    run.add_argument("--timeout", type=float, metavar="S", help="seconds until it is stopped (unattended: 300)")
    run.add_argument("--serial", metavar="FILE", help="write everything that was printed to FILE")
    run.add_argument("--cpu", metavar="MODEL", help="another CPU model of QEMU")
    run.add_argument("--cpus", type=int, metavar="N", help="another number of physical CPUs")
    run.add_argument("--firmware", choices=("bios", "uefi"), help="what a PC starts its medium by")
    run.add_argument("--emulator", choices=scenario.CHOICES["emulator"], help="another emulator")
    run.add_argument("--icount", action="store_true", help="one CPU, time counted in instructions: repeatable runs")
    run.add_argument("--seed", type=int, metavar="N", help="the seed of what is random in machine and guests")
    run.add_argument("--hypervisor", metavar="IMAGE", help="boot IMAGE in place of the one built here")
    run.set_defaults(module="run", needs=run_needs)


def run_needs(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Those of the scenario. One that cannot be read is told of when it is run."""
    try:
        if getattr(arguments, "list", False):
            return ("compile",)
        chosen = scenario.load(arguments.scenario) if arguments.scenario else scenario.every()[0]
    except Problem:
        return ("compile",)
    return ("compile", *chosen.machine.needs)


def add_test(commands: Commands) -> None:
    test = commands.add_parser(
        "test",
        help="run the tests",
        description="host: checks of the source and the tests that need no emulator. qemu: whole machines."
        " all: both, as CI runs them. long: everything there is.",
    )
    test.add_argument("what", nargs="?", choices=("host", "qemu", "all", "long"), default="host")
    test.add_argument("-k", metavar="EXPRESSION", help="only tests that match, as in pytest")
    test.add_argument("-x", action="store_true", dest="stop", help="stop at the first failure")
    test.set_defaults(module="testing", needs=test_needs)


def test_needs(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The host tests look at what emulators and images are made from, but boot only the smallest machines."""
    host = ("compile", "sanitize", "headers", "acpi", "formats", "debug", "qemu-arm64", "qemu-x86", "image")
    return host if arguments.what == "host" else (*host, "uefi", "uboot", "bochs")


def add_build(commands: Commands) -> None:
    build = commands.add_parser("build", help="build the hypervisor and the unikernels, or the host library")
    build.add_argument("--config", default="arm64_virt", metavar="NAME", help="kconfig/NAME_defconfig (arm64_virt)")
    build.add_argument(
        "--target",
        default="machine",
        choices=("machine", "host"),
        help="the configuration's machine (default) or tests",
    )
    build.add_argument("--report", action="store_true", help="show sizes, and how deep the stacks may become")
    build.add_argument("--json", metavar="FILE", help="write the same to FILE")
    build.set_defaults(module="build", needs=("compile", "sanitize"))


def add_image(commands: Commands) -> None:
    image = commands.add_parser(
        "image",
        help="make a medium that starts the hypervisor on real hardware",
        description="Makes a CD image, which a USB stick takes as well, or a disk image. Both start by GRUB under BIOS"
        " and UEFI, with a menu of the sets of guests that are named. The same sources and SOURCE_DATE_EPOCH give the"
        " same bytes (docs/images.md).",
    )
    image.add_argument(
        "sets", nargs="*", metavar="SET", help="guests for the menu: a name of ./dev run --list, or a partition file"
    )
    image.add_argument("--default", metavar="SET", help="the one that starts by itself (the first)")
    image.add_argument("--timeout", type=int, default=3, metavar="S", help="seconds until it does (3)")
    image.add_argument("--config", default="x86_pc", metavar="NAME", help="kconfig/NAME_defconfig (x86_pc)")
    image.add_argument("--out", metavar="FILE", help="where to (build/NAME/constrictor.iso or .disk)")
    kind = image.add_mutually_exclusive_group()
    kind.add_argument("--iso", action="store_const", dest="kind", const="iso", help="a CD image (without --disk)")
    kind.add_argument("--disk", action="store_const", dest="kind", const="disk", help="a disk image")
    image.add_argument(
        "--cmdline", default="", metavar="OPTIONS", help="the hypervisor's options, but for its self-tests"
    )
    image.add_argument("--hypervisor", metavar="IMAGE", help="take IMAGE in place of the one built here")
    image.set_defaults(module="image.command", needs=image_needs, kind="iso")


def image_needs(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Arm boards take the hypervisor's file as it is."""
    return ("compile",) if arguments.config.startswith("arm64") else ("compile", "image")


def add_gdb(commands: Commands) -> None:
    gdb = commands.add_parser(
        "gdb",
        help="boot a scenario under gdb, with Python names, lines and objects",
        description="Starts a scenario and stops it before its first instruction. docs/debugging.md has the commands.",
    )
    gdb.add_argument(
        "scenario", nargs="?", metavar="SCENARIO", help="a name of ./dev run --list; without it, the first"
    )
    gdb.add_argument("--cpus", type=int, metavar="N", help="another number of physical CPUs")
    gdb.add_argument("--ex", action="append", default=[], metavar="COMMAND", help="give gdb a command; repeatable")
    gdb.add_argument("--batch", action="store_true", help="end when the commands are done")
    gdb.set_defaults(module="debug", needs=lambda arguments: ("debug", *run_needs(arguments)))


def add_trace(commands: Commands) -> None:
    trace = commands.add_parser(
        "trace",
        help="run a scenario with tracing on, and show what was recorded",
        description="Boots a scenario with trace buffers, waits for a text, stops the machine, and reads the buffers"
        " out of its memory, also behind a panic. With --read it shows a file as xentrace writes them.",
    )
    trace.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a name of ./dev run --list")
    trace.add_argument("--until", default="DONE", metavar="TEXT", help="stop when TEXT appeared (DONE)")
    trace.add_argument("--timeout", type=float, default=300, metavar="S", help="stop after so many seconds (300)")
    trace.add_argument("--events", default="0x0ffff000", metavar="MASK", help="what is recorded: tevt_mask (all)")
    trace.add_argument("--pages", type=int, default=64, metavar="N", help="of each CPU's buffer: tbuf_size (64)")
    trace.add_argument("--cpus", type=int, metavar="N", help="another number of physical CPUs")
    trace.add_argument("--raw", metavar="FILE", help="also write the records as xentrace does, for xenalyze")
    trace.add_argument("--read", metavar="FILE", help="show the records of a file; no machine is started")
    trace.set_defaults(module="trace", needs=lambda arguments: () if arguments.read else run_needs(arguments))


def add_menuconfig(commands: Commands) -> None:
    menus = commands.add_parser("menuconfig", help="choose what is built, in menus")
    menus.add_argument("--config", default="arm64_virt", metavar="NAME", help="kconfig/NAME_defconfig (arm64_virt)")
    menus.set_defaults(module="menuconfig", needs=("compile",))


def add_clean(commands: Commands) -> None:
    clean = commands.add_parser("clean", help="remove what was built")
    clean.add_argument("--all", action="store_true", help="also the downloads and the Python environment")
    clean.set_defaults(module="clean", needs=())
