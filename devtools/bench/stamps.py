"""Events of a run stamped with the number of instructions executed since power-on (see stamps.c).

Counts start at 0 with the first instruction after reset, and each belongs to one event of one run.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from devtools.report import Problem

SOURCE = Path(__file__).with_name("stamps.c")
COMPILER = "clang-19"
FLAGS = ("-O2", "-ffreestanding", "-nostdlib", "-shared", "-fPIC", "-fuse-ld=lld")
EMULATOR_SAYS = b"qemu-system-"  # begins the emulator's own messages, which share the output with the serial line


@dataclass(frozen=True)
class Watch:
    """What is stamped: bytes stored to the UART's data register, and the first instruction of a guest.

    `uart` is a physical address; `entry` the virtual address of the guest's first instruction and `opcode` its word.
    A hypervisor must not execute that word at that address itself.
    """

    uart: int
    entry: int
    opcode: int


class Stamps:
    """The plugin for one run: its options for the emulator, and what it has written so far.

    `uart[n]` is the count after byte n of the serial output was stored, `guest` that before the guest's first
    instruction. Both files lie in `folder`, which has to outlive the run.
    """

    def __init__(self, watch: Watch, folder: Path) -> None:
        self.uart: list[int] = []
        self.guest: int | None = None
        self._log = folder / "stamps.log"
        self._log.touch()
        self._read = 0
        library = folder / "stamps.so"
        compiler = [COMPILER, *FLAGS, str(SOURCE), "-o", str(library)]
        done = subprocess.run(compiler, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(f"{COMPILER} could not compile {SOURCE}:\n{done.stderr}")
        arguments = f"{library},uart={watch.uart},entry={watch.entry},opcode={watch.opcode}"
        self.options = ["-plugin", arguments, "-d", "plugin", "-D", str(self._log)]

    def update(self) -> None:
        """Takes the whole lines that the plugin has written since the last call."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = log.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        self._read += len(lines)
        for line in lines.decode("ascii", "replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        event, _, count = line.partition(" ")
        if event not in ("u", "g") or not count.isdigit():
            raise Problem(f"the emulator's counting plugin wrote {line!r}, not an event and its count")
        if event == "u":
            self.uart.append(int(count))
        elif self.guest is None:
            self.guest = int(count)

    def first_line(self, output: bytes) -> int:
        """The count when the first line that shows anything was complete. Problem: there is no such line."""
        start = len(output) - len(output.lstrip())
        end = output.find(b"\n", start)
        if end < 0:
            raise Problem(f"the hypervisor completed no line on its console before the guest began: {output!r}", 1)
        if EMULATOR_SAYS in output[:end]:
            raise Problem(
                f"the emulator itself printed before the hypervisor: {output[:end].decode(errors='replace')}", 1
            )
        if end >= len(self.uart):
            raise Problem(f"{end + 1} bytes were printed but {len(self.uart)} stores to the UART were seen", 1)
        return self.uart[end]
