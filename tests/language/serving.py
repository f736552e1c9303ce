"""A small process that calls functions of compiled programs, each call in a fork of its own: a trap ends only the fork.

Reads one JSON line per call, `[library, declarations, C name, arguments]`, and writes one: the result, or "trap". It
imports little, so that a fork costs less than a millisecond.
"""

import json
import os
import resource
import sys
from functools import cache
from pathlib import Path
from typing import Any

import cffi

from compiler import foreign


@cache
def opened(library: str, declarations: str) -> Any:
    ffi = cffi.FFI()
    foreign.declare(ffi, Path(declarations).read_text())
    return ffi.dlopen(library)


def answer(library: str, declarations: str, name: str, arguments: list[int]) -> str:
    function = getattr(opened(library, declarations), name)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(writing, str(int(function(*arguments))).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        text = result.read()
    _, status = os.waitpid(child, 0)
    return '"trap"' if os.WIFSIGNALED(status) else text


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        print(answer(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
