"""What `./dev` tells the person: progress on standard error, and problems that end a command."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Problem(Exception):
    """Something the person has to know or mend: the text says what was expected and what to do instead."""

    def __init__(self, text: str, exit_status: int = 2) -> None:
        super().__init__(text)
        self.exit_status = exit_status


def progress(text: str) -> None:
    """One line about a step that takes a while."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file, so that two commands started at once do not work on the same folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another ./dev that holds {path}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
