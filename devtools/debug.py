"""`./dev gdb`: a scenario under gdb, stopped before its first instruction, with Python names (devtools/gdb/).

The machine's console goes to a file, since the terminal is gdb's.
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from devtools import boot, build, scenario
from devtools.machine import Machine
from devtools.paths import BUILD, ROOT
from devtools.report import Problem, progress

PROGRAM = "gdb-multiarch"
START = ROOT / "devtools" / "gdb" / "start.py"
READ_SECONDS = 0.2


def main(arguments: argparse.Namespace) -> int:
    chosen = scenario.load(arguments.scenario) if arguments.scenario else scenario.every()[0]
    if not chosen.machine.hypervisor:
        raise Problem(f"{chosen.name} runs without hypervisor: name a scenario that has one")
    if chosen.machine.emulator == "bochs":
        raise Problem(f"{chosen.name} runs in Bochs, which gdb does not reach: name one that runs in QEMU")
    command = boot.command(chosen, boot.Options(cpus=arguments.cpus))
    elf = build.folder(chosen.machine.config) / "hv" / "hv.elf"
    serial = BUILD / "serial" / f"gdb-{chosen.name}.log"
    serial.parent.mkdir(parents=True, exist_ok=True)
    extra = [*(["-ex", c] for c in arguments.ex), *(["--batch"] for _ in range(arguments.batch))]
    with stopped(command, serial) as socket:
        progress(f"{chosen.name}: its console goes to {serial.relative_to(ROOT)}; `help hv-` lists the commands")
        return debugger(words(elf, socket, [word for pair in extra for word in pair]))


@contextmanager
def stopped(command: Sequence[str], serial: Path) -> Iterator[Path]:
    """A machine that waits for a debugger on the socket that comes back. It stops behind the block."""
    with tempfile.TemporaryDirectory(prefix="gdb-") as folder:
        socket = Path(folder) / "gdb"
        stub = ("-S", "-chardev", f"socket,id=gdb,path={socket},server=on,wait=off", "-gdb", "chardev:gdb")
        # The emulator must not get the interrupt from the keyboard, which is for gdb.
        with Machine(("setsid", *command, *stub), serial) as machine:
            over = threading.Event()
            reader = threading.Thread(target=_read, args=(machine, over))
            reader.start()
            try:
                while not socket.exists():
                    if not machine.running:
                        raise Problem(f"the machine did not start:\n{machine.output}", 1)
                    over.wait(READ_SECONDS)
                yield socket
            finally:
                over.set()
                reader.join()


def _read(machine: Machine, over: threading.Event) -> None:
    while not over.is_set() and machine.running:
        machine.read(READ_SECONDS)


def words(elf: Path, socket: Path, extra: Sequence[str]) -> list[str]:
    """The command that runs gdb on a stopped machine."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise Problem(f"{PROGRAM} is not installed")
    return [program, "-q", "-nx", str(elf), "-ex", f"source {START}", "-ex", f"target remote {socket}", *extra]


def debugger(command: Sequence[str]) -> int:
    """Runs gdb in the foreground and returns its exit status."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(command, check=False, preexec_fn=_interruptible, env=os.environ).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
