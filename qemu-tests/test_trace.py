"""What a real machine records: read out of its memory by `./dev trace`, shown by the debug key, printed by a panic."""

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from devtools import boot, debian, scenario, trace
from devtools.machine import Machine

SECONDS = 60
SCENARIO = (
    '[scenario]\ndescription = "a unikernel"\n[machine]\ncpu = "cortex-a57"\ncpus = 2\nmemory = 512\n'
    '[[domain]]\nname = "one"\nmemory = 16\ncpus = 1\nkernel = "guest:hello"\nvpl011 = true\n'
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "traced.toml").write_text(SCENARIO)
    return tmp_path


@pytest.mark.arm64
def test_a_trace_tells_a_guests_life(place, monkeypatch, capsys) -> None:
    """Exits and entries alternate on each CPU, whatever lies between; Xen's own tool reads the file."""
    monkeypatch.setattr(scenario, "load", lambda name, load=scenario.load: load(name, place))
    raw = place / "trace.bin"
    asked = argparse.Namespace(
        scenario="traced", until="READY hello", timeout=SECONDS, events="0x0ffff000", pages=64, cpus=None, raw=str(raw),
        read=None,
    )  # fmt: skip
    assert trace.main(asked) == 0
    text = capsys.readouterr().out
    for wanted in (
        "DOM0_DOM_ADD domain=1",
        "SCHED_SWITCH from_domain=32767",
        "HW_IRQ_HANDLED irq=",
        "HVM_VMEXIT64 reason=36",
    ):
        assert wanted in text
    for cpu in (0, 1):
        ways = re.findall(rf"cpu{cpu} HVM_VM(ENTRY|EXIT64)", text)
        assert ways == ["ENTRY", "EXIT64"] * (len(ways) // 2) + ["ENTRY"] * (len(ways) % 2)
    xenalyze = debian.unpacked("xen-utils-common", debian.own_architecture()) / "usr" / "bin" / "xenalyze"
    done = subprocess.run([xenalyze, "--dump-all", raw], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"vmentry", done.stdout)) == len(re.findall("HVM_VMENTRY", text))


@pytest.mark.arm64
def test_the_key_and_a_panic_show_the_last_records(place) -> None:
    options = boot.Options(added="tbuf_size=1 tevt_mask=0x0ffff000 noreboot crash=panic")
    with Machine(boot.command(scenario.load("traced", place), options)) as machine:
        machine.expect("(hv) PANIC on CPU 0", SECONDS)
        machine.expect("last records of CPU 1:", SECONDS)
        machine.expect(re.compile(r"\d+ PM_IDLE_EXIT state=1"), SECONDS)  # by the call to stop
        machine.expect("halted", SECONDS)
    with Machine(
        boot.command(scenario.load("traced", place), boot.Options(added="tbuf_size=1 tevt_mask=0x0002f000"))
    ) as machine:
        machine.expect("READY hello", SECONDS)
        machine.send("\x01\x01\x01T")
        machine.expect("tracing is on: 1 pages for each CPU, events 0x2f000", SECONDS)
        machine.expect(re.compile(r"CPU 0: \d+ records, \d+ bytes unread, 0 lost"), SECONDS)
        machine.expect(re.compile(r"SCHED_\w+"), SECONDS)  # CPU 1 may have had nothing to do
        machine.expect(re.compile(r"CPU 1: \d+ records, \d+ bytes unread, 0 lost"), SECONDS)
