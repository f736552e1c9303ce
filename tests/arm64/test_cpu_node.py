"""How a CPU's node says that it is started."""

import pytest

from tests.common.guests import Node, flat, strings, u32, u64
from tests.common.host import host

READ = "hv.sim.controller.cpu_start"
PSCI, SPIN_TABLE, OTHER = 0, 1, 2
EINVAL = 22
METHOD, WORD = "enable-method", "cpu-release-addr"


def read(cpu: dict[str, bytes], every: dict[str, bytes] | None = None) -> tuple[int, int]:
    """The method, and where the release word is; an errno's negative when it cannot be read."""
    root = Node("", {}, [Node("cpus", every or {}, [Node("cpu@1", cpu)])])
    blob = host().bytes(flat(root))[0]
    method = host().call(f"{READ}_method", blob)
    code = host().errno(f"{READ}_word", blob)
    return method, -code if code else host().call(f"{READ}_word", blob)


@pytest.mark.parametrize(
    ("method", "meant"),
    [
        (strings("psci"), PSCI),
        (strings("spin-table"), SPIN_TABLE),
        (strings("vendor,own", "spin-table"), SPIN_TABLE),
        (strings("spin-table", "psci"), PSCI),
        (strings("spin"), OTHER),
        (b"", OTHER),
        (b"psci", OTHER),  # no zero behind it
    ],
)
def test_method(method, meant):
    assert read({METHOD: method})[0] == meant
    assert read({}, {METHOD: method})[0] == meant
    assert read({METHOD: strings("psci")}, {METHOD: method})[0] == PSCI


def test_psci_where_nothing_is_said():
    assert read({})[0] == PSCI


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (u64(0x8000_FFF8), 0x8000_FFF8),
        (u32(0xD8), 0xD8),
        (u64(1 << 40), 1 << 40),
        (u64(0), -EINVAL),
        (u64(0x8000_0004), -EINVAL),
        (u64(8) + u32(0), -EINVAL),
        (b"", -EINVAL),
    ],
)
def test_word(word, found):
    assert read({WORD: word})[1] == found
    assert read({}, {WORD: word})[1] == found


def test_a_word_of_its_own_comes_first():
    assert read({WORD: u64(0x10)}, {WORD: u64(0x20)})[1] == 0x10


def test_no_word():
    assert read({})[1] == -EINVAL
