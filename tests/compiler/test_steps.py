"""Steps of a build: each is run when what it was made from has changed, and only then."""

from pathlib import Path

import pytest

from compiler.steps import Step, bring_up_to_date


def copying(folder: Path, more: str = "") -> Step:
    """Copies `source` to `made.o`, and notes in `runs` that it was run."""
    source, made, runs = folder / "source", folder / "made.o", folder / "runs"
    return Step(("sh", "-c", f"cp {source} {made} && echo run >> {runs} {more}"), made, [source])


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines())


def test_a_step_runs_again_when_an_input_its_command_or_its_product_changed(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("one")
    bring_up_to_date([copying(tmp_path)])
    bring_up_to_date([copying(tmp_path)])
    assert runs(tmp_path) == 1
    (tmp_path / "source").write_text("two")
    bring_up_to_date([copying(tmp_path)])
    assert (runs(tmp_path), (tmp_path / "made.o").read_text()) == (2, "two")
    bring_up_to_date([copying(tmp_path, "&& true")])
    assert runs(tmp_path) == 3
    (tmp_path / "made.o").unlink()
    bring_up_to_date([copying(tmp_path, "&& true")])
    assert runs(tmp_path) == 4


def test_a_step_that_fails_is_told_and_runs_again(tmp_path: Path) -> None:
    """What failed is not up to date, though it may have written its product."""
    (tmp_path / "source").write_text("one")
    failing = copying(tmp_path, "&& echo no such register >&2 && false")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no such register"):
            bring_up_to_date([failing])
    assert runs(tmp_path) == 2


def test_a_step_that_fails_after_it_had_succeeded_runs_again(tmp_path: Path) -> None:
    """Its input goes back to what it was, but the product was overwritten meanwhile."""
    source, made = tmp_path / "source", tmp_path / "made.o"
    step = Step(("sh", "-c", f"cp {source} {made} && grep -q good {source}"), made, [source])
    source.write_text("good")
    bring_up_to_date([step])
    source.write_text("bad")
    with pytest.raises(RuntimeError):
        bring_up_to_date([step])
    source.write_text("good")
    bring_up_to_date([step])
    assert made.read_text() == "good"
