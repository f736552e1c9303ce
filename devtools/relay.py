"""The person at the keyboard: our terminal relayed to a machine's console, every key but one."""

import contextlib
import os
import selectors
import sys
import termios
import time
import tty
from collections.abc import Iterator

from devtools.machine import CHUNK, Machine

LEAVE = b"\x1d"
LEAVE_NAME = "Ctrl-]"


def relay(machine: Machine, timeout: float | None) -> None:
    """Until the person leaves, the machine stops, or the time is over. Ctrl-A, Ctrl-C and the rest go through."""
    deadline = time.monotonic() + timeout if timeout is not None else None
    keyboard = sys.stdin.fileno()
    with selectors.DefaultSelector() as selector, raw(keyboard):
        selector.register(machine.fileno(), selectors.EVENT_READ)
        with contextlib.suppress(PermissionError):  # a plain file has no events: then nothing is typed
            selector.register(keyboard, selectors.EVENT_READ)
        while machine.running:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            for key, _ in selector.select(left):
                if key.fd != keyboard:
                    machine.read(0)
                    continue
                typed = os.read(keyboard, CHUNK)
                before, leave, _ = typed.partition(LEAVE)
                machine.send(before)
                if leave:
                    return
                if not typed:
                    selector.unregister(keyboard)


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Keys as they are typed, without echo; a descriptor that is no terminal stays as it is."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
