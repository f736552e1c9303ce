"""The figures of `./dev bench` that can be had without Xen, against their targets."""

import json

import pytest

from devtools import bench
from devtools.bench import boot, linux, peer

pytestmark = pytest.mark.emulator

TRAPS = (
    "arm64.hvc_psci_version",
    "arm64.vgicd_typer_read",
    "arm64.vpl011_flag_read",
    "arm64.timer_running",
    "arm64.timer_waiting",
    "arm64.spi_running",
    "arm64.domain_switch",
    "arm64.sgi_waiting",
)


@pytest.mark.arm64
def test_figures_meet_their_targets(tmp_path) -> None:
    """Traps, interrupts and switches take at most 0.6 of what Xen takes, the start of one guest at most 0.4 and that of
    the last of two and of four at most 0.35, by the recorded figures of Xen.
    """
    result = tmp_path / "bench.json"
    assert bench.main(["arm64", "--recorded", "--json", str(result)]) == 0
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    for name in TRAPS:
        assert 0 < rows[name]["ours"] <= 0.6 * rows[name]["xen"]
    for name, target in (("guest_start", 0.4), ("second_start", 0.35), ("fourth_start", 0.35)):
        assert 0 < rows[f"arm64.{name}"]["ours"] <= target * rows[f"arm64.{name}"]["xen"]
    assert 0 < rows["arm64.first_line"]["ours"] < rows["arm64.guest_start"]["ours"]


@pytest.mark.x86
def test_figures_of_x86_meet_their_targets(tmp_path) -> None:
    """A PVH guest's exits and its start take at most 0.2 of what Xen takes, by the recorded figures of Xen."""
    result = tmp_path / "bench.json"
    assert bench.main(["x86", "--recorded", "--json", str(result)]) == 0
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    for row in rows.values():
        assert 0 < row["ours"] < row["xen"]
    assert rows["x86.apic_read"]["ours"] <= 0.2 * rows["x86.apic_read"]["xen"]
    assert rows["x86.first_line"]["ours"] < rows["x86.guest_start"]["ours"] <= 0.2 * rows["x86.guest_start"]["xen"]


@pytest.mark.x86
def test_a_guest_of_debians_costs_little(tmp_path) -> None:
    """From its kernel's first instruction to a shell it takes at most 1.10 of what the bare machine takes."""
    result = tmp_path / "bench.json"
    assert bench.main(["linux", "--recorded", "--json", str(result)]) == 0
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    assert 500_000_000 < rows["linux.ready"]["ours"] <= 1.10 * rows["linux.ready"]["bare"]
    assert rows["linux.ready_xen"]["ours"] == rows["linux.ready"]["ours"] < rows["linux.ready_xen"]["xen"]


@pytest.mark.long
@pytest.mark.x86
def test_the_recorded_boot_of_the_bare_machine_is_that_of_the_present_one() -> None:
    was = peer.Recording.read("linux").figure("linux.ready")
    assert was is not None
    assert abs(linux.instructions(linux.theirs()) - was) <= 0.02 * was


@pytest.mark.parametrize(
    ("architecture", "gibibytes", "target"),
    [
        pytest.param("arm64", 1, 0.3, marks=pytest.mark.arm64),
        pytest.param("x86", 1, 0.1, marks=pytest.mark.x86),
        pytest.param("arm64", 16, 0.3, marks=[pytest.mark.arm64, pytest.mark.long]),
        pytest.param("x86", 16, 0.1, marks=[pytest.mark.x86, pytest.mark.long]),
    ],
)
def test_an_idle_machine_meets_its_target(architecture, gibibytes, target, tmp_path) -> None:
    """Until it is idle it takes at most that part of Xen's recorded figure, and keeps less memory than Xen."""
    result = tmp_path / "bench.json"
    name = f"{architecture}_{gibibytes}g"
    wanted = [word for figure in ("first_line", "idle", "kept") for word in ("--only", f"{name}_{figure}")]
    assert bench.main(["boot", "--recorded", *wanted, "--json", str(result)]) == 0
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    first_line, idle, kept = (rows[f"boot.{name}_{figure}"] for figure in ("first_line", "idle", "kept"))
    assert 0 < first_line["ours"] < first_line["xen"]
    assert first_line["ours"] < idle["ours"] <= target * idle["xen"]
    assert 0 < kept["ours"] < kept["xen"]


@pytest.mark.long
@pytest.mark.arm64
@pytest.mark.x86
def test_the_recorded_boots_of_xen_are_those_of_the_present_one() -> None:
    recorded = peer.Recording.read("boot")
    for figure, count in boot.measure(boot.theirs(), boot.FIGURES).items():
        was = recorded.figure(figure.name)
        assert was is not None
        assert abs(count - was) <= 0.02 * was, figure.name
