"""What happens before anything is installed: the commands, what they need, who installs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import bootstrap, cli
from devtools.paths import ROOT
from devtools.report import Problem

PRESENT = bootstrap.Package("present", "sh")
ABSENT = bootstrap.Package("absent", "a-program-that-nobody-has")
ABSENT_FILE = bootstrap.Package("absent-file", "/nonexistent/*.so")


def test_the_standard_library_is_enough_to_begin() -> None:
    """-S hides every installed package, -I the environment."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from devtools import bootstrap, clean, cli, report"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "COMMAND"),
        (["--help"], 0, "remove what was built"),
        (["imagine"], 2, "there is no command 'imagine'; the commands are run, test, build, "),
        (["image", "--iso", "--disk"], 2, "not allowed with argument"),
        (["run", "--cpus", "many"], 2, "invalid int value"),
    ],
)
def test_usage_needs_nothing(arguments: list[str], status: int, words: str, tmp_path: Path) -> None:
    done = subprocess.run([ROOT / "dev", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert words in done.stdout + done.stderr


def test_options_of_bench_go_through() -> None:
    arguments = cli.parse(["bench", "arm64", "--json", "x", "--help"])
    assert (arguments.module, arguments.argv) == ("bench", ["arm64", "--json", "x", "--help"])


def test_every_need_is_known() -> None:
    for command in (["run"], ["test"], ["test", "all"], ["build"], ["image"], ["clean"], ["bench"]):
        assert set(cli.parse(command).needs) <= bootstrap.NEEDS.keys()


def test_a_run_needs_what_its_scenario_does() -> None:
    for name, needs in (
        ("arm64-demo", ("compile", "qemu-arm64")),
        ("x86-selftest", ("compile", "qemu-x86", "image")),
        ("x86-selftest-uefi", ("compile", "qemu-x86", "uefi", "image")),
        ("x86-selftest-kernel", ("compile", "qemu-x86")),
        ("x86-selftest-bochs", ("compile", "bochs", "image")),
        ("no-such-scenario", ("compile",)),
    ):
        assert cli.parse(["run", name]).needs == needs, name
    assert cli.parse(["run"]).needs == ("compile", "qemu-arm64")


def test_missing_packages_are_those_without_their_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "NEEDS", {"one": (PRESENT, ABSENT_FILE), "two": (ABSENT, ABSENT_FILE)})
    monkeypatch.setattr(bootstrap, "environment_is_current", lambda: True)
    assert bootstrap.missing(["one"]) == [ABSENT_FILE]
    assert bootstrap.missing(["two", "one"]) == [ABSENT, ABSENT_FILE]
    monkeypatch.setattr(bootstrap, "environment_is_current", lambda: False)
    monkeypatch.setattr(bootstrap, "BUILDING_PYTHON", (PRESENT, ABSENT))
    assert bootstrap.missing(["one"]) == [ABSENT, ABSENT_FILE]


def test_an_ordinary_user_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(bootstrap, "quietly", lambda *_, **__: pytest.fail("ran something"))
    with pytest.raises(Problem, match=r"sudo sh -c 'apt-get update && apt-get install .* absent absent-file'") as told:
        bootstrap.install([ABSENT, ABSENT_FILE])
    assert told.value.exit_status == 2


def test_root_installs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """apt is called once for the lists and once for all packages; what is then still missing is an error."""
    witness = tmp_path / "tool"
    ran = []

    def apt(command: list[str], may_fail: bool = False) -> None:
        ran.append(command)
        if "install" in command:
            witness.touch()

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(bootstrap, "quietly", apt)
    bootstrap.install([bootstrap.Package("tool", str(witness))])
    assert [command[-1] for command in ran] == ["update", "tool"]
    with pytest.raises(Problem, match=r"apt installed absent, but it brought no a-program-that-nobody-has"):
        bootstrap.install([ABSENT])
    ran.clear()
    bootstrap.install([])
    assert not ran


def test_the_environment_is_made_anew_when_its_recipe_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = []

    def make(command: list[str], may_fail: bool = False) -> None:
        made.append(command)
        (tmp_path / "venv" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "venv" / "bin" / "python").touch()

    requirements = tmp_path / "requirements.txt"
    requirements.write_text("one==1\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "venv" / "made-from")
    monkeypatch.setattr(bootstrap, "REQUIREMENTS", requirements)
    monkeypatch.setattr(bootstrap, "quietly", make)
    for change, times in ((lambda: None, 1), (lambda: None, 0), (lambda: requirements.write_text("one==2\n"), 1)):
        made.clear()
        change()
        bootstrap.make_environment()
        assert sum("venv" in command for command in made) == times
    (tmp_path / "venv" / "bin" / "python").unlink()
    assert not bootstrap.environment_is_current(), "an interpreter that is gone makes no environment"
