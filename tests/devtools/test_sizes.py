"""The size and stack report: what it shows is what the image has."""

import io
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from rich.console import Console

from compiler import proofs
from compiler import report as made
from devtools import build, cli, sizes
from devtools.report import Problem
from tests.compiler.images import compiled
from tests.compiler.test_proofs import RULES, START, program


def image(folder: Path) -> Path:
    """A build folder with a small image's report."""
    elf, symbols, offsets = compiled(folder, program(), START, {})
    (folder / "proofs.toml").write_text(RULES.format(size=4096, entries='"choose", "main"'))
    proven = proofs.hypervisor(elf, folder, symbols, offsets)
    (folder / "hv").mkdir()
    made.write(proven, folder / "hv", symbols)
    (folder / "hv.image").write_bytes(bytes(1234))
    return elf


def test_the_report_is_of_the_image(tmp_path: Path) -> None:
    elf = image(tmp_path)
    report = sizes.read(tmp_path)
    with elf.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
    assert {s["name"]: s["bytes"] for s in report["sections"]}[".text"] == text["sh_size"]
    mine = next(m for m in report["modules"] if m["module"] == "program")
    assert 0 < mine["code"] < text["sh_size"] and mine["zeros"] > 0
    assert sum(m["code"] for m in report["modules"]) <= text["sh_size"]
    assert {"program.main", "program.choose"} <= {f["name"] for f in report["functions"]}
    assert {s["entry"] for s in report["stacks"]} == {"program.main", "program.choose"}


def test_the_tables_show_it(tmp_path: Path) -> None:
    image(tmp_path)
    out = io.StringIO()
    sizes.show(sizes.read(tmp_path), Console(file=out, width=sizes.WIDTH))
    shown = out.getvalue()
    for text in ("hv.image has 1,234 bytes", "r-x", "program.main", "Deepest chain of the stack `only`", "4,096"):
        assert text in shown


def test_the_host_library_has_no_report() -> None:
    with pytest.raises(Problem, match="--report and --json are about an image"):
        build.main(cli.parse(["build", "--target", "host", "--report"]))
