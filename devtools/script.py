"""An unattended run: what to wait for and what to type, without a person.

A send is a text and keys. Sends happen in the order given, each when its text has appeared; a text that an earlier
send has used waits for its next appearance, so that the same prompt can be answered again and again.
"""

import re
import time
from dataclasses import dataclass, field

from devtools.machine import OVERLAP, Machine
from devtools.report import Problem

ARROW = "=>"
ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "e": b"\x1b", "\\": b"\\"}


@dataclass(frozen=True)
class Send:
    """Keys to type once a text has appeared."""

    after: bytes
    keys: bytes

    @classmethod
    def parse(cls, text: str) -> "Send":
        """From TEXT=>KEYS, where KEYS may hold \\r, \\n, \\t, \\e, \\xHH and \\\\."""
        after, arrow, keys = text.partition(ARROW)
        if not arrow or not after:
            raise Problem(f"--send {text!r}: write TEXT{ARROW}KEYS, the text to wait for and the keys to type then")
        return cls(after.encode(), unescaped(keys))


def unescaped(keys: str) -> bytes:
    """The bytes that a text with escapes stands for."""

    def byte(match: re.Match[str]) -> str:
        word = match[1]
        if word.startswith("x") and len(word) == 3:
            return chr(int(word[1:], 16))
        if word in ESCAPES:
            return ESCAPES[word].decode()
        raise Problem(rf"unknown escape \{word} in {keys!r}: write one of \r \n \t \e \xHH \\")

    return re.sub(r"\\(x[0-9a-fA-F]{2}|.?)", byte, keys).encode()


@dataclass
class Script:
    """The progress of an unattended run over what a machine printed."""

    until: list[bytes]
    sends: list[Send]
    _scanned: int = 0
    _used: dict[bytes, int] = field(default_factory=dict)

    def advance(self, machine: Machine) -> bool:
        """Types what has become due. True when every text of `until` has appeared."""
        printed = machine.printed
        while self.sends:
            send = self.sends[0]
            place = printed.find(send.after, self._used.get(send.after, 0))
            if place < 0:
                break
            self._used[send.after] = place + len(send.after)
            machine.send(send.keys)
            del self.sends[0]
        start = max(self._scanned - OVERLAP, 0)
        self.until = [text for text in self.until if printed.find(text, start) < 0]
        self._scanned = len(printed)
        return not self.until

    def follow(self, machine: Machine, timeout: float) -> bool:
        """Advances until done, the machine stopped, or the time is over. True when every text appeared."""
        deadline = time.monotonic() + timeout
        waits = bool(self.until)
        while not (self.advance(machine) and waits):
            left = deadline - time.monotonic()
            if not machine.running or left <= 0:
                return not waits and not machine.running
            machine.read(left)
        return True
