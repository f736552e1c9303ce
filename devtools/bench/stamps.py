"""Events of a run stamped with the number of instructions executed since power-on (see stamps.c).

Counts start at 0 with the first instruction after reset, and each belongs to one event of one run.
"""

import bisect
import re
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
    """What is stamped besides waits: bytes written to the UART, and the first instruction of a guest. 0: none.

    `uart` is the physical address of the data register, or `port` says that the UART is a PC's first, behind I/O ports.
    `entry` is the virtual address of the guest's first instruction and `opcode` its word. A hypervisor must not execute
    that word at that address itself. Where addresses are not known, `start` and `guest` are the first SIGNATURE bytes
    of the hypervisor's code and of the guest's.
    """

    uart: int = 0
    entry: int = 0
    opcode: int = 0
    port: bool = False
    start: bytes = b""
    guest: bytes = b""


SIGNATURE = 16


class Port:
    """What a 16550 on I/O ports does with writes, so far as it decides whether a byte is sent (16550D, 8.0)."""

    TRACED = re.compile(r"serial_write write addr 0x([0-9a-f]+) val 0x([0-9a-f]+)$")
    DATA, LINE_CONTROL, MODEM_CONTROL = 0, 3, 4
    DIVISOR_LATCH, LOOP = 1 << 7, 1 << 4

    def __init__(self) -> None:
        self._line = self._modem = 0

    def sends(self, trace: re.Match[str]) -> bool:
        """Whether the traced write sends a byte on the line."""
        register, value = (int(digits, 16) for digits in trace.groups())
        if register == self.LINE_CONTROL:
            self._line = value
        elif register == self.MODEM_CONTROL:
            self._modem = value
        return register == self.DATA and not self._line & self.DIVISOR_LATCH and not self._modem & self.LOOP


class Stamps:
    """The plugin for one run: its options for the emulator, and what it has written so far.

    `uart[n]` is the count after byte n of the serial output was written, `start` that before the hypervisor's first
    instruction, `guests` those before the guest's, one for each that starts, `wait` that before the first WFI or HLT
    behind the first byte: firmware waits before it. Both files lie in `folder`, which has to outlive the run.
    """

    def __init__(self, watch: Watch, folder: Path) -> None:
        self.uart: list[int] = []
        self.start: int | None = None
        self.guests: list[int] = []
        self.wait: int | None = None
        self._port = Port()
        self._out = 0
        self._log = folder / "stamps.log"
        self._log.touch()
        self._read = 0
        library = folder / "stamps.so"
        compiler = [COMPILER, *FLAGS, str(SOURCE), "-o", str(library)]
        done = subprocess.run(compiler, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Problem(f"{COMPILER} could not compile {SOURCE}:\n{done.stderr}")
        arguments = f"{library},uart={watch.uart},entry={watch.entry},opcode={watch.opcode}"
        arguments += f",start={watch.start.hex()},guest={watch.guest.hex()}"
        self.options = ["-plugin", arguments, "-d", "plugin", "-D", str(self._log)]
        if watch.port:
            self.options += ["-trace", "serial_write"]

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
        if trace := Port.TRACED.match(line):  # what the port write just stamped has done
            if self._port.sends(trace):
                self.uart.append(self._out + 1)
            return
        event, _, count = line.partition(" ")
        if event not in ("u", "s", "g", "w", "o") or not count.isdigit():
            raise Problem(f"the emulator's counting plugin wrote {line!r}, not an event and its count")
        if event == "u":
            self.uart.append(int(count))
        elif event == "o":
            self._out = int(count)
        elif event == "s" and self.start is None:
            self.start = int(count)
        elif event == "g":
            self.guests.append(int(count))
        elif event == "w" and self.wait is None and self.uart:
            self.wait = int(count)

    @property
    def guest(self) -> int | None:
        """The count before the first guest's first instruction."""
        return self.guests[0] if self.guests else None

    def first_line(self, output: bytes, after: int = 0) -> int:
        """The count when the first line that shows anything was complete, of what was printed when more instructions
        than `after` had executed. Problem: there is no such line.
        """
        begin = bisect.bisect_right(self.uart, after)
        start = len(output) - len(output[begin:].lstrip())
        end = output.find(b"\n", start)
        if end < 0:
            raise Problem(f"the hypervisor completed no line on its console: {output!r}", 1)
        if EMULATOR_SAYS in output[begin:end]:
            raise Problem(
                f"the emulator itself printed before the hypervisor: {output[:end].decode(errors='replace')}", 1
            )
        if end >= len(self.uart):
            raise Problem(f"{end + 1} bytes were printed but {len(self.uart)} writes to the UART were seen", 1)
        return self.uart[end]
