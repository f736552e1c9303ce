"""Runs Bochs with the machine's serial port on this program's own standard input and output, as QEMU does by itself.

    python bochs_console.py CONFIGURATION LOG

Bochs can put a serial port on a terminal, so this program makes one and carries bytes. In the configuration {terminal}
stands for its name and {folder} for a folder that is gone afterwards. Standard library only: it runs as a file of its
own, beside whoever started it.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import tty
from pathlib import Path

CHUNK = 1 << 16
POLL_SECONDS = 0.2
COMPLAINT_LINES = 5
GUARD = ("setpriv", "--pdeathsig", "KILL", "--")
GO_ON = "c\n"
"""Debian's Bochs has the debugger inside, which waits for a command before the first instruction."""


def main(configuration: Path, log: Path) -> int:
    """Bochs' exit status. What it complained of is the last thing printed when that is not 0."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with tempfile.TemporaryDirectory(prefix="bochs-") as name:
        folder = Path(name)
        settings, commands = folder / "bochsrc", folder / "commands"
        names = {"{terminal}": os.ttyname(theirs), "{folder}": str(folder)}
        text = configuration.read_text()
        for word, meaning in names.items():
            text = text.replace(word, meaning)
        settings.write_text(text)
        commands.write_text(GO_ON)
        words = ["bochs-bin", "-q", "-unlock", "-f", str(settings), "-log", str(log), "-rc", str(commands)]
        bochs = subprocess.Popen(
            [*GUARD, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            carry(bochs, ours)
        finally:
            bochs.kill()
            bochs.wait()
        if bochs.returncode:
            complain(log)
        return bochs.returncode


def carry(bochs: subprocess.Popen[bytes], terminal: int) -> None:
    """Carries bytes both ways until Bochs has ended and all that it printed is out."""
    sources = [sys.stdin.fileno(), terminal]
    while True:
        ended = bochs.poll() is not None
        ready, _, _ = select.select(sources, [], [], 0 if ended else POLL_SECONDS)
        if ended and terminal not in ready:
            return
        for source in ready:
            data = os.read(source, CHUNK)
            if source == terminal:
                os.write(sys.stdout.fileno(), data)
            elif data:
                os.write(terminal, data)
            else:
                sources.remove(source)


def complain(log: Path) -> None:
    """Prints the panics and errors at the end of Bochs' log; an "e" or "p" stands before the device in brackets."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line for line in lines if line[11:13] in ("p[", "e[")]
    for line in said[-COMPLAINT_LINES:] or ["ended without a reason in its log"]:
        print(f"bochs: {line}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
