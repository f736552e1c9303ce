"""Instructions give several results: registers, and conditions as bools."""

from pathlib import Path

import pytest

from tests.compiler.machine import Machine, image

PROGRAMS = Path(__file__).parent / "programs"
FUNCTIONS = {"x86": ["vendor", "bits", "differences"], "arm64": ["bits", "differences", "quotients"]}
U64 = (1 << 64) - 1


@pytest.fixture(scope="module")
def machines() -> dict[str, Machine]:
    return {
        name: Machine(
            name,
            image(name, PROGRAMS / f"asm_{name}.py", f"hv.{name}.cpu", [f"{name}_cpu_{f}" for f in functions]),
        )
        for name, functions in FUNCTIONS.items()
    }


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [0, 99, 100, 101, 1 << 40])
def test_value_and_condition(machines: dict[str, Machine], name: str, n: int) -> None:
    found, _ = machines[name].call(f"{name}_cpu_differences", n)
    assert found == ((n - 100) * 2 + (n <= 100)) & U64


def test_one_condition(machines: dict[str, Machine]) -> None:
    for n in (0, 8, 1 << 63, 8 | 1 << 63):
        assert machines["x86"].call("x86_cpu_bits", n)[0] == (n >> 3 & 1) + 2 * (n >> 63)
    assert [machines["arm64"].call("arm64_cpu_bits", n)[0] for n in (4, 5)] == [0, 1]


def test_several_registers(machines: dict[str, Machine]) -> None:
    words = [machines["x86"].call("x86_cpu_vendor", n)[0] for n in (0, 1)]
    text = words[0].to_bytes(8, "little") + words[1].to_bytes(8, "little")[:4]
    assert text in (b"GenuineIntel", b"AuthenticAMD")
    assert machines["arm64"].call("arm64_cpu_quotients", 95)[0] == 13 * 16 + 4
