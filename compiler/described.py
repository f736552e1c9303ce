"""What a program declares, for readers outside: its registries with all that their entries hold, its ABI classes and
registers.

The documentation of the ABI and the grammars of the fuzzers are made from this, `declared.json` of an output directory:

    {"registries": {"hv.….hypercall": {"entry": "Hypercall", "entries": [{"function": …, "file": …, "line": …,
        "documentation": …, "fields": {"number": 32, …}, "parameters": [["request", "EvtchnSend"]], "result": "u64",
        "raises": ["EINVAL"] or null, "preemptible": false, "arguments": {"request": {a class, as below}}}]}},
     "layouts": {"hv.….EvtchnSend": {"header": …, "type": …, "native": {"size": …, "fields": […]}, "compat": {…}}},
     "bits": {"hv.….ListRegister": {"documentation": …, "base": "u64", "fields": {"priority": {"high": 55, …}}}}}
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from compiler import abi
from compiler import typesystem as t
from compiler.errors import CompileError
from compiler.program import FunctionDeclaration, Module

if TYPE_CHECKING:
    from compiler.whole import Compiler
    from compiler.whole_types import RegistryEntry, RegistryGlobal


def described(compiler: Compiler) -> dict[str, Any]:
    registries = {
        f"{found.declaration.module.name}.{found.declaration.name}": registry(compiler, found)
        for found in compiler.globals.registries()
    }
    layouts = {
        f"{i.info.module.name}.{i.shown}": abi.described(i)
        for i in list(compiler.declarations.instances.values())
        if i.info.abi is not None
    }
    bits = {
        f"{declaration.module.name}.{declaration.name}": {
            "documentation": ast.get_docstring(declaration.node),
            "base": kind.base.key,
            "fields": {n: {"high": f.high, "low": f.low, "type": f.type.shown} for n, f in kind.fields.items()},
        }
        for declaration, kind in compiler.declarations.enums.items()
        if isinstance(kind, t.BitsType)
    }
    return {"registries": registries, "layouts": layouts, "bits": bits}


def registry(compiler: Compiler, found: RegistryGlobal) -> dict[str, Any]:
    assert found.entry is not None
    entries = sorted(found.entries, key=lambda item: item.order)
    return {"entry": found.entry.shown, "entries": [entry(compiler, found, item) for item in entries]}


def entry(compiler: Compiler, found: RegistryGlobal, item: RegistryEntry) -> dict[str, Any]:
    assert found.entry is not None
    module, node = item.module, item.decorated.node
    given = item.given(found.entry)
    made: dict[str, Any] = {
        "function": f"{module.name}.{node.name}",
        "file": module.shown,
        "line": node.lineno,
        "documentation": ast.get_docstring(node),
        "fields": {n: value(compiler, v, found.entry.fields[n], module) for n, v in given.items()},
    }
    if isinstance(item.decorated, FunctionDeclaration):
        function = compiler.declarations.function(item.decorated)
        made["parameters"] = [[p.name, p.type.shown] for p in function.parameters]
        made["result"] = function.result.shown
        made["raises"] = raised(node) if function.raises else None
        made["preemptible"] = any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "preemptible"
            for n in ast.walk(node)
        )
        made["arguments"] = {
            p.name: abi.described(p.type.instance)
            for p in function.parameters
            if isinstance(p.type, t.ClassType) and p.type.instance.info.abi is not None
        }
    return made


def value(compiler: Compiler, node: ast.expr, kind: t.Type, module: Module) -> Any:
    """A field's constant: a number, a text, an enum member's name; what is none as it is written."""
    try:
        constant = compiler.constant_of(node, module, {}, kind)
    except CompileError:
        return ast.unparse(node)
    if constant is None:
        return None
    if isinstance(constant.type, t.EnumType) and not constant.type.flags:
        return constant.key
    return constant.value


def raised(node: ast.FunctionDef) -> list[str]:
    """The errors that the body names."""
    return sorted(
        n.exc.attr
        for n in ast.walk(node)
        if isinstance(n, ast.Raise)
        and isinstance(n.exc, ast.Attribute)
        and isinstance(n.exc.value, ast.Name)
        and n.exc.value.id == "Errno"
    )
