"""The compiler's code is as short as careful C: five small functions, executed and counted in instructions.

Both sides are compiled and linked as the hypervisor is, by the same clang with the same flags, hardening included, for
arm64 and x86-64, and executed by unicorn, which counts. The C exists in this test alone.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import pytest

from tests.compiler.machine import Machine, image

HERE = Path(__file__).parent / "kernels"
KERNELS = {
    "ring_copy": [0, 1, 100, 4096],
    "ordered_insert": [1, 12345],
    "hash_look_up": [0, 3, 100, 200],
    "page_table_walk": [0, 1, 500, 1024],
    "crc": [0, 9, 4096],
}
AT_MOST = 1.03


@cache
def linked(name: str) -> Path:
    """An image with both sides."""
    kept = [f"{prefix}_{kernel}" for kernel in KERNELS for prefix in ("kernels", "c")]
    kept += ["kernels_source", "source"]  # written from outside
    return image(name, HERE / "kernels.py", "kernels", kept, HERE / "kernels.c")


@pytest.mark.parametrize("machine", ["arm64", "x86"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_as_short_as_careful_c(machine: str, kernel: str) -> None:
    for argument in KERNELS[kernel]:
        ours, theirs = Machine(machine, linked(machine)), Machine(machine, linked(machine))
        answer, executed = ours.call(f"kernels_{kernel}", argument)
        expected, careful = theirs.call(f"c_{kernel}", argument)
        assert answer == expected
        assert executed <= careful * AT_MOST, f"{kernel}({argument}): {executed} instructions, C takes {careful}"


def test_the_answer_is_right() -> None:
    machine = Machine("x86", linked("x86"))
    data = bytes(i * 7 % 256 for i in range(100))
    machine.cpu.mem_write(machine.symbols["kernels_source"], data)
    assert machine.call("kernels_crc", 100)[0] == zlib.crc32(data)
