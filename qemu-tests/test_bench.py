"""The figures of `./dev bench arm64` that can be had without Xen, against their targets."""

import json

import pytest

from devtools import bench

pytestmark = [pytest.mark.arm64, pytest.mark.emulator]

TRAPS = ("arm64.hvc_psci_version", "arm64.vgicd_typer_read", "arm64.vpl011_flag_read")


def test_figures_meet_their_targets(tmp_path) -> None:
    """Traps take at most 0.6 of what Xen takes and a guest's start at most 0.4, by the recorded figures of Xen."""
    result = tmp_path / "bench.json"
    assert bench.main(["arm64", "--recorded", "--json", str(result)]) == 0
    rows = {row["name"]: row for row in json.loads(result.read_text())["rows"]}
    for name in TRAPS:
        assert 0 < rows[name]["ours"] <= 0.6 * rows[name]["xen"]
    assert 0 < rows["arm64.guest_start"]["ours"] <= 0.4 * rows["arm64.guest_start"]["xen"]
    assert 0 < rows["arm64.first_line"]["ours"] < rows["arm64.guest_start"]["ours"]
