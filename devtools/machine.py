"""A running machine: a process whose console is on its pipes, with what it printed and a way to type.

    with Machine(command, serial=Path("console.log")) as machine:
        machine.expect("READY linux1", 60)
        machine.send("echo hello\\r")

`expect` goes forward through the output as a reader would: each call starts behind the place where the one before
ended. `output` is everything so far. Times are seconds.
"""

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from devtools.report import Problem

CHUNK = 1 << 16
STOP_SECONDS = 5
GATHER_SECONDS = 0.01
"""The emulator writes character by character; waiting this long before reading leaves it the processor."""
OVERLAP = 4096
"""How far before the newest output a searched text may begin, in bytes: no text that is looked for is longer."""

PARENT_GUARD = ("setpriv", "--pdeathsig", "KILL", "--")
"""An emulator whose starter was killed must not go on alone; setpriv is part of every Debian (util-linux)."""


class NotSeen(AssertionError):
    """What was waited for did not appear; the text has the last lines that did."""


class Machine:
    """One emulator process, its standard error part of the output. `serial` and `echo` get a copy of the output."""

    def __init__(self, command: Sequence[str], serial: Path | None = None, echo: BinaryIO | None = None) -> None:
        self.command = list(command)
        self.serial = serial
        self.echo = echo
        self.printed = bytearray()
        self.position = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the emulator. Raises Problem when it cannot be started."""
        try:
            self._log = self.serial.open("wb") if self.serial else None
            self.process = subprocess.Popen(
                [*PARENT_GUARD, *self.command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
            )
        except OSError as error:
            raise Problem(f"the machine could not be started: {error}") from None
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stdout, selectors.EVENT_READ)

    def stop(self) -> None:
        """Ends the emulator if it still runs. What it printed until then is kept. May be called again."""
        assert self.process is not None and self.process.stdout is not None and self.process.stdin is not None
        if self.process.stdout.closed:
            return
        while self.read(0):
            pass
        if self.process.poll() is None:
            self.process.terminate()
        self._selector.close()
        self.process.stdout.close()
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self._log:
            self._log.close()

    @property
    def output(self) -> str:
        """Everything that was printed so far."""
        return self.printed.decode(errors="replace")

    @property
    def running(self) -> bool:
        """False once the output has ended, which it does with the process."""
        return not self._ended

    @property
    def refused(self) -> bool:
        """True when the emulator ended by itself with a message of its own: it could not run this machine."""
        failed = self._ended and self.process is not None and self.process.returncode != 0
        return failed and self.printed.startswith((b"qemu-system-", b"bochs: ", PARENT_GUARD[0].encode()))

    def fileno(self) -> int:
        """Of the output, for a selector of the caller's."""
        assert self.process is not None and self.process.stdout is not None
        return self.process.stdout.fileno()

    def read(self, timeout: float) -> bytes:
        """Waits up to `timeout` for output, and returns what there is. Nothing also when the machine stopped."""
        assert self.process is not None and self.process.stdout is not None
        if self._ended or not self._selector.select(max(timeout, 0)):
            return b""
        time.sleep(min(timeout, GATHER_SECONDS))
        data = self.process.stdout.read(CHUNK)
        if data is None:
            return b""
        if not data:
            self._ended = True
            self.process.wait()
        if self._log:
            self._log.write(data)
            self._log.flush()
        if self.echo:
            try:
                self.echo.write(data)
                self.echo.flush()
            except BrokenPipeError:  # nobody looks any more, as behind `| head`; the run goes on
                self.echo = None
        self.printed += data
        return data

    def send(self, keys: str | bytes) -> None:
        """Types keys. A terminal's Enter is \\r. Does nothing once the machine has stopped."""
        assert self.process is not None and self.process.stdin is not None
        view = memoryview(keys.encode() if isinstance(keys, str) else keys)
        try:
            while view:
                view = view[self.process.stdin.write(view) :]
        except BrokenPipeError:
            pass

    def expect(self, wanted: str | re.Pattern[str], timeout: float) -> str:
        """Waits for a text, or a pattern, behind what was expected before, and returns it. Raises NotSeen."""
        pattern = re.escape(wanted) if isinstance(wanted, str) else wanted.pattern
        search = re.compile(pattern.encode(), 0 if isinstance(wanted, str) else wanted.flags & ~re.UNICODE).search
        deadline = time.monotonic() + timeout
        start = self.position
        while True:
            match = search(self.printed, start)
            if match:
                self.position = match.end()
                return match[0].decode(errors="replace")
            start = max(self.position, len(self.printed) - OVERLAP)
            left = deadline - time.monotonic()
            if not self.running or left <= 0:
                raise self._not_seen(str(wanted), timeout)
            self.read(left)

    def expect_all(self, wanted: Iterable[str], timeout: float) -> None:
        """Waits for texts in any order, all behind what was expected before. Raises NotSeen for the first missing."""
        deadline = time.monotonic() + timeout
        start, furthest = self.position, self.position
        for text in wanted:
            self.position = start
            self.expect(text, max(deadline - time.monotonic(), 0))
            furthest = max(furthest, self.position)
        self.position = furthest

    def expect_silence_of(self, unwanted: str, seconds: float) -> None:
        """Watches the machine for a while. Raises AssertionError when the text appears."""
        try:
            self.expect(unwanted, seconds)
        except NotSeen:
            return
        raise AssertionError(f"{unwanted!r} appeared:\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        """The last lines of the output, for a person who wonders what happened."""
        return "\n".join(self.output.splitlines()[-lines:])

    def _not_seen(self, wanted: str, timeout: float) -> NotSeen:
        assert self.process is not None
        if self.running:
            why = f"did not appear within {timeout:g} s"
        else:
            why = f"did not appear before the machine stopped (exit status {self.process.returncode})"
        return NotSeen(f"{wanted!r} {why}. The last lines:\n{self.tail()}")
