"""The configuration that a program is folded by, read from Kconfig."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import kconfiglib

ROOT = Path(__file__).resolve().parent.parent


def configuration(defconfig: Path) -> dict[str, Any]:
    """Every symbol as CONFIG_NAME: bool, int or str. A defconfig is completed by the defaults of kconfig/Kconfig."""
    os.environ.setdefault("CONFIG_", "CONFIG_")
    kconf = kconfiglib.Kconfig(str(ROOT / "kconfig" / "Kconfig"), warn_to_stderr=False)
    kconf.load_config(str(defconfig))
    problems = [w for w in kconf.warnings if "undefined" in w or "malformed" in w]
    if problems:
        raise ValueError("\n".join(problems))
    found: dict[str, Any] = {}
    for symbol in kconf.unique_defined_syms:
        name = f"CONFIG_{symbol.name}"
        if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
            found[name] = symbol.str_value == "y"
        elif symbol.orig_type in (kconfiglib.INT, kconfiglib.HEX):
            found[name] = int(symbol.str_value or "0", 0)
        else:
            found[name] = symbol.str_value
    return found


def host_configuration() -> dict[str, Any]:
    return configuration(ROOT / "kconfig" / "host_defconfig")
