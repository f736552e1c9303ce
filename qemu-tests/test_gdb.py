"""`./dev gdb` on a machine that runs: Python lines, names, locals and objects; a guest's own symbols."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from devtools import build, debug, qemu
from devtools.paths import ROOT
from devtools.scenario import Machine

SECONDS = 240
SCENARIO = "arm64-demo-2cpu"
INSERT = "self.slots[free].store_release(domain)"  # of DomainTable._insert; `free` is a local
MARK = "------ "
STEPS = {
    "break": ["hv-break hv.common.builder.construct.Construction.begin", "continue", "backtrace"],
    "local": ["delete", "break hv/common/model/domain.py:LINE", "continue", "print free", "print free == domain->slot"],
    "wake": ["delete", "hv-break sched.core.vcpu_up", "continue"],
    "domains": ["hv-domains"],
    "vcpus": ["hv-vcpus"],
    "print": ["hv-print hv.common.model.domain.domains.slots[0].state", "hv-print hv.common.kernel.log.threshold"],
    "timers": ["hv-percpu 0 Timers"],
    "p2m": ["hv-p2m 1 0x40000", "hv-p2m 1 0"],
    "walk": ["hv-walk 0x8000000000"],
    "log": ["hv-log", "hv-log 40", "hv-log 4000000000"],
    "mistakes": ["hv-break no.such.function", "hv-p2m 77 0", "hv-p2m 1"],
    "guest": [
        "delete",
        "hv-guest HELLO",
        "break hello.py:guest_main",
        "continue",
        "frame",
        "print tree != 0",
        "hv-guest",
    ],
}


def line_of(path: str, text: str) -> int:
    (number,) = [n for n, line in enumerate((ROOT / path).read_text().splitlines(), 1) if line.strip() == text]
    return number


def lines_of(path: str, *names: str) -> range:
    """The lines of a function, or of a method by class and name."""
    node: ast.AST = ast.parse((ROOT / path).read_text())
    for name in names:
        (node,) = [n for n in ast.walk(node) if getattr(n, "name", None) == name]
    assert isinstance(node, ast.FunctionDef)
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def script(steps: dict[str, list[str]], **names: str) -> list[str]:
    """Arguments for gdb: each step begins with a mark, and a command that fails does not end it."""
    words = []
    for step, commands in steps.items():
        words += ["--ex", f"echo {MARK}{step}\\n"]
        for command in commands:
            for name, value in names.items():
                command = command.replace(name, value)
            words += ["--ex", f"python hv_try({command!r})"]
    return words


def answers(done: subprocess.CompletedProcess[str], steps: dict[str, list[str]]) -> dict[str, str]:
    """What gdb said in each step."""
    parts = re.split(rf"^{MARK}(\w+)\n", done.stdout, flags=re.MULTILINE)
    assert done.returncode == 0 and parts[1::2] == list(steps), done.stdout + done.stderr
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """By `./dev gdb`, of a machine with guests."""
    hello = build.folder() / "guests" / "hello" / "hello.elf"
    insert = str(line_of("hv/common/model/domain.py", INSERT))
    given = script(STEPS, LINE=insert, HELLO=str(hello))
    command = [str(ROOT / "dev"), "gdb", SCENARIO, "--batch", *given]
    return answers(subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, errors="replace"), STEPS)


@pytest.mark.arm64
def test_breakpoint_by_python_name_stops_at_its_line(said) -> None:
    place = re.search(r"^#0 .* at (hv/common/builder/construct\.py):(\d+)$", said["break"], re.MULTILINE)
    assert place is not None, said["break"]
    assert int(place[2]) in lines_of(place[1], "Construction", "begin")


@pytest.mark.arm64
def test_backtrace_has_python_names_and_lines(said) -> None:
    names = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([\w.]+) ", said["break"], re.MULTILINE)
    assert names[0] == "hv.common.builder.construct.Construction.begin"
    assert names[-2:] == ["hv.arm64.main.initialise", "started"]
    for name, path, line in re.findall(r"\n#.*?([\w.]+) \(.*\) at (hv/\S+\.py):(\d+)", said["break"]):
        function = name.removeprefix(path.removesuffix(".py").replace("/", ".") + ".").split(".")
        assert int(line) in lines_of(path, *function), f"{name} {path}:{line}"


@pytest.mark.arm64
def test_a_local_variable(said) -> None:
    assert f"domain.py:{line_of('hv/common/model/domain.py', INSERT)}" in said["local"]
    assert "$1 = 0" in said["local"] and re.search(r"\$2 = [01]\b", said["local"])


@pytest.mark.arm64
def test_domains_and_vcpus_are_told_by_name_and_state(said) -> None:
    assert re.search(r"^d1 linux1 \w+, 2 vCPUs, 256 MiB, \d+ references$", said["domains"], re.MULTILINE)
    assert re.search(r"^d1v0 OFFLINE on CPU 0 down, 0 pauses$", said["vcpus"], re.MULTILINE)


@pytest.mark.arm64
def test_enums_are_printed_by_name(said) -> None:
    state, threshold = said["print"].split()
    assert state in ("BUILDING", "RUNNING") and threshold == "INFO"


@pytest.mark.arm64
def test_queues_and_per_cpu_data(said) -> None:
    assert "hv.common.kernel.timer.Timers Timers = {" in said["timers"]
    assert re.search(r"queue = OrderedQueue\[Timer\] of \d+", said["timers"])


@pytest.mark.arm64
def test_tables_are_walked(said) -> None:
    """The first frame of guest memory is the guest's to write and to execute; below it there is nothing."""
    memory, hole = said["p2m"].split("nothing")[0], said["p2m"].rstrip().splitlines()[-1]
    assert re.search(
        r"height 2 .* table\n(?:height 1 .* table\n)?.* rwx memory 0xf, software 1 -> 0x[0-9a-f]+000\n", memory
    )
    assert hole.endswith("nothing")
    assert re.search(r"height 0 .* r-x memory index 0, .* -> 0x[0-9a-f]+000", said["walk"])


@pytest.mark.arm64
def test_the_log_is_read_from_memory(said) -> None:
    """All of it, from an index on, and all of it again when the index is none of what is kept."""
    whole, later, again = re.findall(r"(.*?)bytes (\d+) to (\d+) of all that was logged\n", said["log"], re.DOTALL)
    text, first, end = whole
    assert text.startswith("(hv) Constrictor ") and "(hv) 2 of 2 CPUs run\n" in text and text.endswith("\n")
    assert (int(first), int(end)) == (0, len(text))
    assert later == (text[40:], "40", end)
    assert again == whole


@pytest.mark.arm64
def test_mistakes_say_what_to_write(said) -> None:
    assert "there is no function no.such.function; write it as hv.common.mm.heap.Heap.allocate" in said["mistakes"]
    assert "there is no domain 77; hv-domains lists them" in said["mistakes"]
    assert "hv-p2m DOMAIN GFN: two numbers are wanted" in said["mistakes"]


@pytest.mark.arm64
def test_a_guest_is_debugged_with_its_own_symbols(said) -> None:
    place = re.search(r"#0 .*guest_main .* at (?:\S*/)?(guests/hello\.py):(\d+)", said["guest"])
    assert place is not None, said["guest"]
    assert int(place[2]) in lines_of(str(Path("qemu-tests") / place[1]), "guest_main")
    assert re.search(r"^\$\d+ = 1$", said["guest"], re.MULTILINE), "the guest was given a device tree"


X86_STEPS = {
    "break": ["hv-break hv.common.mm.heap.Heap.allocate_near", "continue", "backtrace", "print order"],
    "walk": ["hv-walk 0xffff808000000000"],
    "idle": ["delete", "hv-break hv.common.sched.core.idle", "continue", "hv-print hv.common.kernel.log.threshold"],
    "timers": ["hv-percpu 1 Timers"],
}


@pytest.mark.x86
def test_x86(tmp_path: Path) -> None:
    """Lines, names, a parameter, tables, enums and per-CPU data there, on a machine without guests."""
    machine = Machine(arch="x86", machine="q35", cpu="max", cpus=2, memory=512)
    image = build.build("x86_pc")
    command = qemu.command(machine, qemu.Payload(image))
    with debug.stopped(command, tmp_path / "console.log") as socket:
        elf = build.folder("x86_pc") / "hv" / "hv.elf"
        words = debug.words(elf, socket, [*script(X86_STEPS), "--batch"])
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, errors="replace")
    found = answers(done, X86_STEPS)
    place = re.search(r"^#0 +hv\.common\.mm\.heap\.Heap\.allocate_near .* at (\S+):(\d+)$", found["break"], re.M)
    assert place is not None and int(place[2]) in lines_of(place[1], "Heap", "allocate_near"), found["break"]
    assert "hv.x86.main.initialise () at hv/x86/main.py:" in found["break"]
    assert re.search(r"\$1 = \d+\b", found["break"])
    assert re.search(r"height 0 .* r-x -> 0x[0-9a-f]+000", found["walk"])
    assert found["idle"].rstrip().endswith("INFO")
    assert "hv.common.kernel.timer.Timers Timers = {" in found["timers"]
