"""Driving a process's console: in order, with time limits, and to its end. Python programs stand in for emulators."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.machine import PARENT_GUARD, Machine, NotSeen
from devtools.report import Problem
from devtools.script import Script, Send, unescaped

ECHO = "import sys\nprint('READY', flush=True)\nfor line in sys.stdin: print('got ' + line.strip()[::-1], flush=True)"
SECONDS = 20

Start = Callable[[str], Machine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    machines = []

    def started(program: str) -> Machine:
        machine = Machine([sys.executable, "-c", program], tmp_path / "serial")
        machine.start()
        machines.append(machine)
        return machine

    yield started
    for machine in machines:
        machine.stop()


def test_expecting_goes_forward(start: Start, tmp_path: Path) -> None:
    machine = start(ECHO)
    machine.expect("READY", SECONDS)
    machine.send("abc\n")
    assert machine.expect(re.compile(r"got (\w+)"), SECONDS) == "got cba"
    machine.send("abc\n")
    machine.expect("got cba", SECONDS)
    with pytest.raises(NotSeen, match="READY"):
        machine.expect("READY", 0.2)
    machine.stop()
    assert (tmp_path / "serial").read_text() == machine.output == "READY\ngot cba\ngot cba\n"


def test_all_in_any_order(start: Start) -> None:
    machine = start("print('two one three', flush=True); input()")
    machine.expect_all(["one", "two"], SECONDS)
    machine.expect("three", SECONDS)
    with pytest.raises(NotSeen, match="four"):
        machine.expect_all(["four"], 0.2)


def test_what_did_not_appear_is_told_with_the_last_lines(start: Start) -> None:
    machine = start("print('the last words')")
    with pytest.raises(NotSeen) as told:
        machine.expect("more", SECONDS)
    assert "'more' did not appear before the machine stopped (exit status 0)" in str(told.value)
    assert "the last words" in str(told.value)


def test_silence(start: Start) -> None:
    machine = start(ECHO)
    machine.expect_silence_of("PANIC", 0.2)
    machine.send("CINAP\n")
    with pytest.raises(AssertionError, match="PANIC"):
        machine.expect_silence_of("PANIC", SECONDS)


def test_much_output_is_all_kept(start: Start, tmp_path: Path) -> None:
    machine = start("for i in range(20000): print('line', i)")
    machine.expect("line 19999", SECONDS)
    assert machine.output.splitlines() == [f"line {i}" for i in range(20000)]


def test_a_text_that_comes_in_pieces(start: Start) -> None:
    machine = start("import time\nfor c in 'READY\\n': print(c, end='', flush=True); time.sleep(0.03)")
    machine.expect("READY", SECONDS)


def test_a_process_that_will_not_end_is_ended(start: Start) -> None:
    machine = start(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\ntime.sleep(99)"
    )
    machine.expect("up", SECONDS)
    began = time.monotonic()
    machine.stop()
    machine.stop()
    assert machine.process is not None and machine.process.returncode == -9
    assert time.monotonic() - began < SECONDS


def test_typing_at_a_stopped_machine_does_nothing(start: Start) -> None:
    machine = start("pass")
    while machine.running:
        machine.read(SECONDS)
    machine.send("x" * (1 << 20))


def test_a_machine_that_cannot_be_started(tmp_path: Path) -> None:
    with Machine(["/nonexistent/qemu-system-none"]) as machine:
        with pytest.raises(NotSeen):
            machine.expect("READY", SECONDS)
        assert machine.refused
    with pytest.raises(Problem, match="could not be started"):
        Machine([sys.executable], tmp_path / "no" / "folder").start()


def test_refused_is_only_the_emulators_own_complaint(start: Start) -> None:
    for program, refused in (
        ("import sys; print('qemu-system-x: no such cpu'); sys.exit(1)", True),
        ("import sys; print('(hv) panic'); sys.exit(1)", False),
        ("print('qemu-system-x: warning')", False),
    ):
        machine = start(program)
        while machine.running:
            machine.read(SECONDS)
        assert machine.refused is refused, program


def test_the_parent_guard_is_there() -> None:
    with Machine(["true"]) as machine:
        assert machine.process is not None
        assert machine.process.wait(SECONDS) == 0, f"{PARENT_GUARD[0]} does not run programs here"


def test_a_script_types_in_order_and_waits_for_all(start: Start) -> None:
    machine = start(ECHO)
    script = Script(
        [b"got 1", b"got 3", b"got 4"],
        [Send.parse(send) for send in (r"READY=>1\n", r"got =>2\n", r"got =>3\n", r"READY=>5\n", r"got 3=>4\n")],
    )
    assert not script.follow(machine, 1), "the fourth send waits for a second READY, and the fifth for the fourth"
    assert script.until == [b"got 4"]
    machine.send("YDAER\n")
    assert script.follow(machine, SECONDS)


def test_a_script_ends_with_the_machine(start: Start) -> None:
    assert not Script([b"never"], []).follow(start("print('bye')"), SECONDS)
    assert Script([b"bye"], []).follow(start("print('bye')"), SECONDS)
    assert Script([], [Send.parse("x=>y")]).follow(start("print('bye')"), SECONDS), "without --until: until it stops"


def test_keys_with_escapes() -> None:
    assert unescaped(r"a\r\n\t\x01\x1d\\b=>\e") == b"a\r\n\t\x01\x1d\\b=>\x1b"
    assert Send.parse("a=>b=>c") == Send(b"a", b"b=>c")
    for wrong in (r"\q", "\\", r"\x1"):
        with pytest.raises(Problem, match="write one of"):
            unescaped(wrong)
    for wrong in ("READY", "=>x", "READY->x"):
        with pytest.raises(Problem, match="write TEXT=>KEYS"):
            Send.parse(wrong)


def test_a_reader_that_goes_away_does_not_end_the_run() -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    with os.fdopen(ours, "wb", buffering=0) as gone, Machine([sys.executable, "-c", ECHO], echo=gone) as machine:
        machine.expect("READY", SECONDS)
        machine.send("abc\n")
        machine.expect("got cba", SECONDS)
