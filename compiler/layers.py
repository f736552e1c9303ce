"""`python -m compiler.layers`: proves that imports in hv/ and loader/ go down the table of docs, never in a circle.

A layer may import itself and what stands below it. `hv.arch`, `hv.lang` and `hv.config` may be imported from
everywhere: the first is a contract without code, which the build replaces by the architecture's module.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("hv", "loader")
EVERYWHERE = ("hv.lang", "hv.config", "hv.arch")
BELOW: dict[str, tuple[str, ...]] = {
    "hv.common.lib": (),
    "hv.common.kernel": ("hv.common.lib",),
    "hv.common.mm": ("hv.common.kernel",),
    "hv.common.model": ("hv.common.mm",),
    "hv.common.sched": ("hv.common.model",),
    "hv.common.comm": ("hv.common.model",),
    "hv.common.iommu": ("hv.common.model",),
    "hv.common.drivers": ("hv.common.mm",),
    "hv.common.selftest": ("hv.common.sched",),
    "hv.common.control": ("hv.common.sched", "hv.common.comm", "hv.common.iommu", "hv.common.drivers"),
    "hv.common.builder": ("hv.common.control",),
    "hv.arm64": ("hv.common.builder", "hv.common.selftest"),
    "hv.x86.start_info": (),
    "hv.x86.pvh_entry": ("hv.common.lib",),
    "hv.x86": ("hv.common.builder", "hv.common.selftest", "hv.x86.start_info", "hv.x86.pvh_entry"),
    "loader.unpack": ("hv.common.lib",),
    "loader.x86": ("loader.unpack", "hv.x86.start_info", "hv.x86.pvh_entry"),
    "hv.sim": ("hv.common.builder", "hv.arm64", "hv.x86", "loader.x86"),
}


def layer_of(module: str) -> str | None:
    return next((layer for layer in BELOW if module == layer or module.startswith(layer + ".")), None)


def allowed(layer: str) -> set[str]:
    found = {layer}
    for below in BELOW[layer]:
        found |= allowed(below)
    return found


def imports(path: Path) -> list[tuple[int, str]]:
    """The lines and modules that a file imports from hv and the loader."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in FOLDERS:
            if node.module.startswith(EVERYWHERE):
                continue
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((node.lineno, inner if exists(inner) else node.module))
    return found


def exists(module: str) -> bool:
    path = ROOT.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def circle(graph: dict[str, list[str]]) -> list[str] | None:
    """Modules that import each other in a circle; None when there are none."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        stack = [(start, iter(graph[start]))] if start not in done else []
        while stack:
            module, rest = stack[-1]
            if not path or path[-1] != module:
                path.append(module)
            following = next((m for m in rest if m in graph and m not in done), None)
            if following is None:
                done.add(module)
                stack.pop()
                path.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            else:
                stack.append((following, iter(graph[following])))
    return None


def problems(hv: Path) -> list[str]:
    said = []
    graph: dict[str, list[str]] = {}
    for path in sorted(path for folder in FOLDERS for path in (hv.parent / folder).rglob("*.py")):
        module = ".".join(path.relative_to(hv.parent).with_suffix("").parts)
        layer = layer_of(module)
        if layer is None or path.name == "__init__.py":
            continue
        graph[module] = []
        for line, imported in imports(path):
            graph[module].append(imported)
            target = layer_of(imported)
            if target is None or target not in allowed(layer):
                where = f"{path.relative_to(hv.parent)}:{line}"
                said.append(f"{where}: {layer} may not import {imported}: imports go down the layers")
    found = circle(graph)
    if found is not None:
        said.append(f"modules import each other in a circle: {' -> '.join(found)}")
    return said


def main() -> int:
    said = problems(ROOT / "hv")
    for line in said:
        print(line, file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
