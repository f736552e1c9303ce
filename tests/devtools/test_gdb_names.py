"""What gdb is told: Python names to C, values by their Python types, and walks of translation tables."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.gdb import log, tables
from devtools.gdb.program import Program

SYMBOLS: dict[str, Any] = {
    "functions": {
        "hv.common.mm.heap.Heap.free": {"c": "common_mm_heap_Heap_free"},
        "hv.common.mm.pool.Pool[Vcpu].free": {"c": "common_mm_pool_Pool_Vcpu_free"},
        "hv.arm64.main.boot": {"c": "boot"},
    },
    "variables": {"hv.common.model.domain.domains": {"c": "common_model_domain_domains"}},
    "constants": {"hv.common.mm.types.PAGE_SIZE": 4096},
}
DEBUG: dict[str, Any] = {
    "enums": {
        "State": {"name": "State", "flags": False, "members": {"FREE": 0, "BUSY": 1}},
        "Access": {"name": "Access", "flags": True, "members": {"R": 1, "W": 2}},
    },
    "bits": {"Entry": {"name": "Entry", "fields": {"valid": [0, 0, None], "state": [2, 1, "enum State"]}}},
    "structures": {},
    "variables": {},
}
program = Program(SYMBOLS, DEBUG)


@pytest.mark.parametrize(
    "name", ["hv.common.mm.heap.Heap.free", "common.mm.heap.Heap.free", "Heap.free", "mm.heap.Heap.free"]
)
def test_a_function_by_its_name_or_the_end_of_it(name: str) -> None:
    assert program.function(name) == "common_mm_heap_Heap_free"


def test_names_that_are_none_or_several() -> None:
    with pytest.raises(LookupError, match="there is no function free_all"):
        program.function("free_all")
    with pytest.raises(
        LookupError, match=r"free may be any of: hv\.common\.mm\.heap\.Heap\.free, hv\.common\.mm\.pool"
    ):
        program.function("free")


@pytest.mark.parametrize(
    ("text", "c"),
    [
        ("hv.common.model.domain.domains.slots[0].config.name", "common_model_domain_domains.slots[0].config.name"),
        ("common.model.domain.domains", "common_model_domain_domains"),
        ("x * hv.common.mm.types.PAGE_SIZE + y.z", "x * 4096 + y.z"),
        ("vcpu->domain->id", "vcpu->domain->id"),
    ],
)
def test_expressions(text: str, c: str) -> None:
    assert program.expression(text) == c


@pytest.mark.parametrize(
    ("described", "value", "shown"),
    [
        ("enum State", 1, "BUSY"),
        ("enum State", 7, "7 (no member)"),
        ("enum Access", 3, "R | W"),
        ("enum Access", 0, "0x0"),
        ("enum Access", 9, "R | 0x8"),
        ("bits Entry", 0b011, "0x3 {valid=0x1, state=BUSY}"),
        ("kind DomId", 12, "12"),
        ("kind Mfn", 16, "0x10"),
    ],
)
def test_values_by_their_python_type(described: str, value: int, shown: str) -> None:
    assert program.shown(described, value) == shown


FORMATS = {"arm64 stage 1": tables.ARM_STAGE1, "arm64 stage 2": tables.ARM_STAGE2, "x86": tables.X86}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@given(address=st.integers(0, (1 << 48) - 1), height=st.integers(0, 2), frame=st.integers(0, (1 << 30) - 1))
def test_a_walk_finds_what_was_mapped(form: tables.Format, address: int, height: int, frame: int) -> None:
    """A leaf at any height gives its frame and the address within; on the way are tables; elsewhere is nothing."""
    arm = form is not tables.X86
    address &= (1 << form.bits) - 1
    memory: dict[int, int] = {}
    place, root = 0x10_0000, 0x10_0000
    for level in range(form.height, height, -1):
        index = address >> 12 + 9 * level & ((1 << form.bits - 12 - 9 * level) - 1 if level == form.height else 511)
        memory[place + 8 * index] = (place + 0x1_0000) | 3
        place += 0x1_0000
    shift = 12 + 9 * height
    leaf = frame << 21 & ((1 << 47) - 1) >> shift << shift
    index = address >> shift & ((1 << form.bits - shift) - 1 if height == form.height else 511)
    memory[place + 8 * index] = leaf | ((3 if height == 0 else 1) if arm else (1 if height == 0 else 0x81))
    steps = list(tables.walk(form, root, address, lambda at: memory.get(at, 0)))
    assert len(steps) == form.height - height + 1
    assert [s.shown for s in steps[:-1]] == ["table"] * (len(steps) - 1)
    assert steps[-1].result == leaf + (address & (1 << shift) - 1)
    other = list(tables.walk(form, root, address ^ 1 << form.bits - 1, lambda at: memory.get(at, 0)))
    assert other[-1].result is None and other[-1].shown == "nothing"


@given(
    text=st.binary(max_size=200),
    first=st.sampled_from([0, 2**32 - 1, 2**32 - 100]) | st.integers(0, 2**32 - 1),
    behind=st.integers(-50, 250),
)
def test_the_log_is_what_was_put_into_its_ring_last(text: bytes, first: int, behind: int) -> None:
    """Its indices run over; an index of what is gone, or never came, means all that is there."""
    ring = bytearray(64)
    for index, byte in enumerate(text, first):
        ring[index % 2**32 % 64] = byte
    kept = text[-64:]
    oldest, end = (first + len(text) - len(kept)) % 2**32, (first + len(text)) % 2**32
    assert log.kept(bytes(ring), oldest, end) == (oldest, kept)
    since = (oldest + behind) % 2**32
    skipped = behind if 0 <= behind <= len(kept) else 0
    assert log.kept(bytes(ring), oldest, end, since) == ((oldest + skipped) % 2**32, kept[skipped:])


def test_a_damaged_log_is_told() -> None:
    with pytest.raises(ValueError, match="indices are damaged"):
        log.kept(bytes(64), 5, 70)
