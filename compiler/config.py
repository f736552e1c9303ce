"""The configuration that a program is folded by, read from Kconfig."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

import kconfiglib

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"CONFIG_(?P<set>\w+)=(?P<value>.*)|# CONFIG_(?P<unset>\w+) is not set")


class ConfigError(RuntimeError):
    """A defconfig that is not what it means to be: file, line, and what to write."""


def kconfig(root: Path = ROOT) -> kconfiglib.Kconfig:
    """The tree of options, with nothing chosen yet."""
    os.environ.setdefault("CONFIG_", "CONFIG_")
    return kconfiglib.Kconfig(str(root / "kconfig" / "Kconfig"), warn_to_stderr=False)


def configuration(defconfig: Path, root: Path = ROOT) -> dict[str, Any]:
    """Every symbol as CONFIG_NAME: bool, int or str. A defconfig is completed by the defaults of kconfig/Kconfig.

    ConfigError: a line that is none of a defconfig, names no option, or asks for what other choices forbid.
    """
    tree = kconfig(root)
    tree.load_config(str(defconfig))
    problems = mistakes(tree, defconfig)
    if problems:
        raise ConfigError("\n".join(problems))
    return values(tree)


def values(tree: kconfiglib.Kconfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for symbol in tree.unique_defined_syms:
        name = f"CONFIG_{symbol.name}"
        if symbol.orig_type in (kconfiglib.BOOL, kconfiglib.TRISTATE):
            found[name] = symbol.str_value == "y"
        elif symbol.orig_type in (kconfiglib.INT, kconfiglib.HEX):
            found[name] = int(symbol.str_value or "0", 0)
        else:
            found[name] = symbol.str_value
    return found


def mistakes(tree: kconfiglib.Kconfig, defconfig: Path) -> list[str]:
    """What is wrong with a defconfig that the tree has loaded, a line for each."""
    found = []
    for number, line in enumerate(defconfig.read_text().splitlines(), 1):
        match = LINE.fullmatch(line.strip())
        if match is None:
            if line.strip() and not line.startswith("#"):
                found.append(f"{defconfig}:{number}: write CONFIG_NAME=value, or # CONFIG_NAME is not set")
            continue
        name = match["set"] or match["unset"]
        symbol = tree.syms.get(name)
        if symbol is None or not symbol.nodes:
            near = difflib.get_close_matches(name, [s.name for s in tree.unique_defined_syms], 1)
            other = f"; is CONFIG_{near[0]} meant?" if near else f": {tree.filename} declares the options"
            found.append(f"{defconfig}:{number}: there is no CONFIG_{name}{other}")
            continue
        wanted = (match["value"] or "").strip().strip('"') if match["set"] else "n"
        if symbol.str_value != wanted and not (wanted == "n" and symbol.str_value == ""):
            found.append(f"{defconfig}:{number}: CONFIG_{name} cannot be {wanted}: {why_not(symbol, wanted)}")
    return found


def why_not(symbol: kconfiglib.Symbol, wanted: str) -> str:
    """What keeps an option from a value."""
    if wanted != "n" and not kconfiglib.expr_value(symbol.direct_dep):
        return f"it depends on {kconfiglib.expr_str(symbol.direct_dep)}"
    if wanted == "n" and kconfiglib.expr_value(symbol.rev_dep):
        return f"it is selected by {kconfiglib.expr_str(symbol.rev_dep)}"
    if symbol.orig_type in (kconfiglib.INT, kconfiglib.HEX):
        ranges = [
            (low.str_value, high.str_value)
            for low, high, condition in symbol.ranges
            if kconfiglib.expr_value(condition)
        ]
        return f"it is a number from {ranges[0][0]} to {ranges[0][1]}" if ranges else "it is a number"
    if symbol.choice is not None:
        return "another of its choice is taken"
    return f"other options leave it {symbol.str_value or 'no value'}"


def host_configuration(**chosen: int) -> dict[str, Any]:
    """kconfig/host_defconfig, with other numbers for some options. ConfigError: one is out of the option's range."""
    tree = kconfig()
    tree.load_config(str(ROOT / "kconfig" / "host_defconfig"))
    for name, number in chosen.items():
        tree.syms[name].set_value(str(number))
        if tree.syms[name].str_value != str(number):
            raise ConfigError(f"CONFIG_{name} cannot be {number}: kconfig/Kconfig has its range")
    return values(tree)
