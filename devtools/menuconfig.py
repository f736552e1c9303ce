"""`./dev menuconfig`: edits a configuration in menus and keeps it as kconfig/NAME_defconfig."""

import argparse
import itertools
import os
import re
import tempfile
from pathlib import Path

from devtools.paths import ROOT
from devtools.report import progress


def main(arguments: argparse.Namespace) -> int:
    import kconfiglib
    import menuconfig

    defconfig = ROOT / "kconfig" / f"{arguments.config}_defconfig"
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "config"
        os.environ["KCONFIG_CONFIG"] = str(saved)
        tree = kconfiglib.Kconfig(str(ROOT / "kconfig" / "Kconfig"))
        if defconfig.exists():
            tree.load_config(str(defconfig))
        tree.write_config(str(saved))
        before = saved.read_text()
        menuconfig.menuconfig(tree)
        if saved.read_text() == before:
            progress(f"{defconfig.name} stays as it is")
            return 0
        tree.load_config(str(saved))
        tree.write_min_config(str(defconfig), header=heading(defconfig))
    progress(f"wrote {defconfig.relative_to(ROOT)}")
    return 0


def heading(defconfig: Path) -> str:
    """The comment that a file begins with, which the library would not keep."""
    if not defconfig.exists():
        return ""
    words = itertools.takewhile(lambda line: re.match(r"#(?! CONFIG_)", line), defconfig.read_text().splitlines(True))
    return "".join(words)
