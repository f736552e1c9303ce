"""The options: each is explained, each can be turned off or Kconfig forbids it; off, it leaves nothing in the image."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import kconfiglib
import pytest

from compiler import config, driver, link
from compiler.__main__ import DEFCONFIGS
from compiler.image_code import Image
from compiler.program import Program
from compiler.whole import Compiler

ROOT = config.ROOT
MACHINES = {"arm64": "arm64_virt", "x86": "x86_pc"}
QUICK = {
    *(("arm64", name) for name in ("GICV2", "GICV3", "SMMUV3", "VPL011", "DEBUG", "DOMAIN_WATCHDOG")),
    *(("x86", name) for name in ("DEBUG_KEYS", "SCHED_FAIR", "SVM", "HVM")),
}
GUESTS = {"hv.x86.hvm", *(f"hv.x86.svm.{name}" for name in ("asid", "driver", "exits", "host", "permissions", "vmcb"))}
WHOLE = {"CONFIG_SVM": GUESTS, "CONFIG_HVM": {*GUESTS, "hv.common.comm"}}
"""What belongs to an option though no module imports it below one. The names of SVM's exits are hv.arch's to tell."""


def loaded(machine: str) -> kconfiglib.Kconfig:
    tree = config.kconfig()
    tree.load_config(str(ROOT / "kconfig" / f"{MACHINES[machine]}_defconfig"))
    return tree


def options() -> list[Any]:
    """All bool options of each machine that are on and that a person may see, but the choice of the machine itself."""
    found = []
    for machine in MACHINES:
        for symbol in loaded(machine).unique_defined_syms:
            prompted = any(node.prompt for node in symbol.nodes)
            if symbol.type == kconfiglib.BOOL and symbol.str_value == "y" and prompted and symbol.choice is None:
                marks = () if (machine, symbol.name) in QUICK else (pytest.mark.long,)
                found.append(pytest.param(machine, symbol.name, marks=marks, id=f"{machine}-{symbol.name}"))
    return found


def without(machine: str, name: str) -> dict[str, Any] | None:
    """The machine's configuration with an option off; None when Kconfig forbids that."""
    tree = loaded(machine)
    symbol = tree.syms[name]
    if not symbol.set_value("n") or symbol.str_value == "y":
        return None
    return config.values(tree)


def front_end(machine: str, chosen: dict[str, Any]) -> Compiler:
    program = Program(ROOT, driver.TARGETS[machine], chosen)
    program.load(driver.ROOTS[machine])
    return driver.front_end(program)


@cache
def guarded() -> dict[str, set[str]]:
    """By option: the modules that `if CONFIG_X:` at the level of a module imports, and the names declared below one."""
    found: dict[str, set[str]] = defaultdict(set, {name: set(whole) for name, whole in WHOLE.items()})
    for path in (ROOT / "hv").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id.startswith("CONFIG_"):
                for inner in node.body:
                    if isinstance(inner, ast.ImportFrom):
                        for alias in inner.names:
                            whole = f"{inner.module}.{alias.name}"
                            exists = (ROOT / whole.replace(".", "/")).with_suffix(".py").exists()
                            found[node.test.id].add(whole if exists else str(inner.module))
                    elif isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
                        found[node.test.id].add(f"{module}.{inner.name}")
    return dict(found)


def left(names: set[str], remaining: set[str]) -> set[str]:
    """What is there although it belongs to an option that is off. A name covers what lies below it."""
    return {name for name in remaining if any(name == g or name.startswith(f"{g}.") for g in names)}


def test_every_option_is_explained() -> None:
    tree = config.kconfig()
    for symbol in tree.unique_defined_syms:
        for node in symbol.nodes:
            if node.prompt:
                assert node.help and len(node.help) > 30, f"{node.filename}:{node.linenr}: {symbol.name} has no help"


def test_every_option_is_used() -> None:
    """By the hypervisor's source, or by the compiler as flags."""
    sources = [*(ROOT / "hv").rglob("*.py"), *(ROOT / "compiler").glob("*.py"), *(ROOT / "devtools").glob("*.py")]
    text = "\n".join(p.read_text() for p in sources) + (ROOT / "kconfig" / "Kconfig").read_text().replace("config ", "")
    for symbol in config.kconfig().unique_defined_syms:
        assert f"CONFIG_{symbol.name}" in text or symbol.choice is not None, f"{symbol.name} changes nothing"


@pytest.mark.parametrize(("machine", "name"), options())
def test_off_it_leaves_no_module_and_no_function(machine: str, name: str) -> None:
    chosen = without(machine, name)
    if chosen is None:
        return
    compiler = front_end(machine, chosen)
    functions = {f.qualified for f in compiler.lowered.values()}
    remaining = functions | set(compiler.program.modules)
    assert not left(guarded().get(f"CONFIG_{name}", set()), remaining)


@pytest.mark.long
@pytest.mark.parametrize(("machine", "name"), options())
def test_off_it_builds_and_leaves_no_symbol(machine: str, name: str, tmp_path: Path) -> None:
    chosen = without(machine, name)
    if chosen is None:
        return
    target = driver.TARGETS[machine]
    compiler = front_end(machine, chosen)
    output = driver.emit(compiler, tmp_path)
    flags = driver.flags(compiler.program)
    objects = driver.compile_objects(output, flags, target.name)
    link.assembly_offsets(output, flags)
    link.hypervisor(target, output, objects, driver.link_flags(compiler.program))
    prefixes = {g.removeprefix("hv.").replace(".", "_") for g in guarded().get(f"CONFIG_{name}", set())}
    symbols = Image(tmp_path / "hv.elf").symbols
    assert not {s for s in symbols if any(s == p or s.startswith(f"{p}_") for p in prefixes)}
    if name == "RETPOLINE":
        assert not [s for s in symbols if "retpoline" in s]


@pytest.mark.parametrize("machine", MACHINES)
def test_what_cannot_be_left_out_is_refused_by_kconfig(machine: str) -> None:
    assert without(machine, "SCHED_FAIR") is None
    tree = loaded(machine)
    if machine == "arm64":
        tree.syms["GICV2"].set_value("n")
        assert tree.syms["GICV3"].str_value == "y" and tree.syms["GICV3"].visibility == 0


def test_the_machines_are_the_compilers() -> None:
    assert {m: DEFCONFIGS[m] for m in MACHINES} == MACHINES


TREE = """
config FEATURE
	bool "feature"
	default y

config DETAIL
	bool "detail"
	depends on FEATURE

config CPUS
	int "CPUs"
	range 1 16
	default 4

config NEEDED
	bool "needed"

config TAKES
	bool "takes"
	select NEEDED
	default y
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# a heading\n\nCONFIG_FEATURS=y\n", r"x_defconfig:3: there is no CONFIG_FEATURS; is CONFIG_FEATURE meant\?"),
        ("CONFIG_QUITE_ELSE=y\n", r"x_defconfig:1: there is no CONFIG_QUITE_ELSE: .*Kconfig declares the options"),
        ("# CONFIG_OLD is not set\n", r"x_defconfig:1: there is no CONFIG_OLD"),
        (
            "# CONFIG_FEATURE is not set\nCONFIG_DETAIL=y\n",
            r"x_defconfig:2: CONFIG_DETAIL cannot be y: it depends on FEATURE",
        ),
        ("CONFIG_CPUS=17\n", r"x_defconfig:1: CONFIG_CPUS cannot be 17: it is a number from 1 to 16"),
        ("CONFIG_CPUS=many\n", r"x_defconfig:1: CONFIG_CPUS cannot be many: it is a number from 1 to 16"),
        ("# CONFIG_NEEDED is not set\n", r"x_defconfig:1: CONFIG_NEEDED cannot be n: it is selected by TAKES"),
        ("CONFIG_FEATURE\n", r"x_defconfig:1: write CONFIG_NAME=value"),
    ],
)
def test_mistakes_in_a_defconfig_name_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig" / "Kconfig").write_text(TREE)
    path = tmp_path / "kconfig" / "x_defconfig"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match=said):
        config.configuration(path, tmp_path)


def test_a_defconfig_without_mistakes(tmp_path: Path) -> None:
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig" / "Kconfig").write_text(TREE)
    path = tmp_path / "kconfig" / "x_defconfig"
    path.write_text(
        "# heading\n# CONFIG_FEATURE is not set\n# CONFIG_DETAIL is not set\nCONFIG_CPUS=9\nCONFIG_NEEDED=y\n"
    )
    assert config.configuration(path, tmp_path) == {
        "CONFIG_FEATURE": False, "CONFIG_DETAIL": False, "CONFIG_CPUS": 9, "CONFIG_NEEDED": True, "CONFIG_TAKES": True,
    }  # fmt: skip
