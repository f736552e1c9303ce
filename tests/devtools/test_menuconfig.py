"""Editing a configuration: only what differs from the defaults is kept, with the file's own heading."""

import argparse
from pathlib import Path

import kconfiglib
import pytest

from devtools import menuconfig

KCONFIG = (
    'config ONE\n\tbool "one"\n\tdefault y\n\nconfig TWO\n\tbool "two"\n\nconfig SIZE\n\tint "size"\n\tdefault 8\n'
)


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command; a function takes the person's place in the menus."""
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig" / "Kconfig").write_text(KCONFIG)
    monkeypatch.setattr(menuconfig, "ROOT", tmp_path)
    monkeypatch.setenv("KCONFIG_CONFIG", "")

    def run(before: str | None, person) -> str | None:
        path = tmp_path / "kconfig" / "x_defconfig"
        if before is not None:
            path.write_text(before)
        monkeypatch.setattr("menuconfig.menuconfig", person)
        assert menuconfig.main(argparse.Namespace(config="x")) == 0
        return path.read_text() if path.exists() else None

    return run


def save(tree: kconfiglib.Kconfig, **values: str) -> None:
    for name, value in values.items():
        assert tree.syms[name].set_value(value)
    tree.write_config()


def test_differences_and_heading_are_kept(edit) -> None:
    assert edit("# of the board\n# X\n# CONFIG_ONE is not set\n", lambda tree: save(tree, SIZE="9")) == (
        "# of the board\n# X\n# CONFIG_ONE is not set\nCONFIG_SIZE=9\n"
    )
    assert edit("# of the board\nCONFIG_TWO=y\n", lambda tree: save(tree, TWO="n")) == "# of the board\n"


def test_a_new_configuration(edit) -> None:
    assert edit(None, lambda tree: save(tree, TWO="y")) == "CONFIG_TWO=y\n"


def test_leaving_without_saving_changes_nothing(edit) -> None:
    before = "CONFIG_SIZE=8\n# odd order\nCONFIG_TWO=y\n"
    assert edit(before, lambda tree: tree.syms["SIZE"].set_value("3")) == before
