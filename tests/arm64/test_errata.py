"""Which CPUs are known to have which fault, what that switches on, and what the linker does about ADRP."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from compiler import driver
from compiler.config import ROOT, configuration
from compiler.program import Program
from tests.common.host import host

ERRATA = "hv.arm64.errata."
WORKAROUNDS = "hv.arm64.workarounds.workarounds"
ARM = 0x41
A53, A55, A57, A72, A73, A76 = 0xD03, 0xD05, 0xD07, 0xD08, 0xD09, 0xD0B
CLOSED = 1 << 23 | 1 << 7

FLAGS = {
    "invalidates_when_cleaning": {A53: range(0x00, 0x03)},
    "distrusts_fault_address": {A57: range(0x00, 0x13)},
    "closes_walks": {A57: range(0x100), A72: range(0x100), A55: range(0x00, 0x21), A76: range(0x00, 0x21)},
}
"""Linux Documentation/arch/arm64/silicon-errata.rst: parts, and variant << 4 | revision."""


def registers():
    library = host().library
    names = library.symbols["registers"]
    return names, (ctypes.c_uint64 * len(names)).in_dll(ctypes.CDLL(str(library.path)), "cx_registers")


def start(implementer: int, part: int, revision: int) -> dict[str, bool]:
    """A CPU starts alone; which workarounds are on."""
    found = host().cleared(WORKAROUNDS)
    names, words = registers()
    words[names["midr_el1"]] = implementer << 24 | revision >> 4 << 20 | 0xF << 16 | part << 4 | revision & 0xF
    words[names["tcr_el1"]] = 0
    host().call(f"{ERRATA}check_errata")
    assert words[names["tcr_el1"]] == (CLOSED if found.closes_walks else 0)
    return {flag: getattr(found, flag) for flag in FLAGS}


def expected(implementer: int, part: int, revision: int) -> dict[str, bool]:
    return {flag: implementer == ARM and revision in parts.get(part, ()) for flag, parts in FLAGS.items()}


@pytest.fixture(autouse=True)
def fresh():
    host().cleared(f"{ERRATA}told")
    host().cleared(f"{ERRATA}forced")
    host().cleared("hv.common.kernel.console.console")
    host().call("hv.sim.console.attach")
    host().printed()
    yield
    host().cleared(WORKAROUNDS)
    host().cleared(f"{ERRATA}forced")


@given(
    st.sampled_from([ARM, ARM, ARM, 0, 0x42, 0x51]),
    st.sampled_from([A53, A55, A57, A72, A73, A76]) | st.integers(0, 0xFFF),
    st.integers(0, 0x25) | st.integers(0, 0xFF),
)
def test_each_cpu_gets_what_it_needs(implementer, part, revision):
    assert start(implementer, part, revision) == expected(implementer, part, revision)


@pytest.mark.parametrize("part", [A53, A55, A57, A72, A76])
@pytest.mark.parametrize("revision", [0x00, 0x02, 0x03, 0x10, 0x12, 0x13, 0x20, 0x21])
def test_at_the_ends_of_the_ranges(part, revision):
    assert start(ARM, part, revision) == expected(ARM, part, revision)


def test_a_machine_with_two_kinds_needs_what_both_need():
    start(ARM, A57, 0x10)
    names, words = registers()
    words[names["midr_el1"]] = ARM << 24 | A53 << 4
    host().call(f"{ERRATA}check_errata")
    found = host().variable(WORKAROUNDS)
    assert found.closes_walks and found.distrusts_fault_address and found.invalidates_when_cleaning


def test_each_is_told_once():
    for _ in range(3):
        start(ARM, A72, 0x03)
    told = [line for line in host().printed().splitlines() if "erratum" in line]
    assert told == ["(hv) CPU 0: Cortex-A72 erratum 1319367: no table walk begins while guests change places"]


def test_one_can_be_asked_for():
    assert not host().call(f"{ERRATA}erratum_option", "1")
    assert host().call(f"{ERRATA}erratum_option", "826319")
    assert start(ARM, A73, 0x00) == expected(ARM, A53, 0x00)


# The linker

SEQUENCE = """
    .text
    .globl _start
_start:
    .space 0xff8
    adrp x0, thing
    str x1, [x2]
    nop
    ldr x3, [x0, :lo12:thing]
    ret
    .data
    .balign 4096
    .space 8
thing: .quad 0
"""


def erratum_sequences(code: bytes, address: int) -> list[int]:
    """Where Arm's notice of 843419 finds the fault: ADRP in the last two words of a page, then a load or store, then
    within two a load or store with unsigned offset from ADRP's register.
    """
    words = [int.from_bytes(code[i : i + 4], "little") for i in range(0, len(code) - 3, 4)]
    found = []
    for i, word in enumerate(words[:-3]):
        if address + 4 * i & 0xFFF not in (0xFF8, 0xFFC) or word & 0x9F00_0000 != 0x9000_0000:
            continue
        memory = words[i + 1] & 0x0A00_0000 == 0x0800_0000
        for use in words[i + 2 : i + 4]:
            if memory and use & 0x3B00_0000 == 0x3900_0000 and use >> 5 & 31 == word & 31:
                found.append(address + 4 * i)
                break
    return found


def linked(folder: Path, *flags: str) -> list[int]:
    source, thing, image = folder / "a.s", folder / "a.o", folder / "a.elf"
    source.write_text(SEQUENCE)
    subprocess.run(["clang-19", "--target=aarch64-none-elf", "-c", source, "-o", thing], check=True)
    subprocess.run(["ld.lld-19", "-Ttext=0x10000", *flags, "-o", image, thing], check=True)
    with image.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        return erratum_sequences(text.data(), text["sh_addr"])


def test_the_linker_breaks_the_sequence_up(tmp_path):
    config = configuration(ROOT / "kconfig" / "arm64_virt_defconfig")
    flags = driver.link_flags(Program(ROOT, driver.TARGETS["arm64"], config))
    assert linked(tmp_path) == [0x1_0FF8]
    assert linked(tmp_path, *flags) == []


@pytest.mark.parametrize("closes", [False, True])
def test_a_guests_registers_are_its_own_whether_walks_were_closed(closes):
    """What was saved is loaded again, TCR_EL1 and SCTLR_EL1 included, which the workaround writes last."""
    ffi = host().ffi
    names, words = registers()
    el1 = ffi.new("arm64_el1_El1 *")
    kept = [n for n in names if n.endswith("_el1") and hasattr(el1, n.removesuffix("_el1"))]
    assert {"tcr_el1", "sctlr_el1", "ttbr0_el1"} <= set(kept)
    for i, name in enumerate(kept):
        words[names[name]] = 0x1234_5678_0000 + i
    host().call("hv.arm64.el1.El1.save", el1)
    for name in kept:
        words[names[name]] = CLOSED
    host().variable(WORKAROUNDS).closes_walks = closes
    host().call("hv.arm64.el1.El1.load", el1)
    assert [words[names[name]] for name in kept] == [0x1234_5678_0000 + i for i in range(len(kept))]
