"""One module's output: the Cython text of its functions, and the declarations that this text needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler import typesystem as t
from compiler.instances import ClassInstance, FunctionInstance, result_key
from compiler.lowering import INTEGERS, c_field

if TYPE_CHECKING:
    from compiler.program import Module
    from compiler.whole import Compiler
    from compiler.whole_types import Global


class Unit:
    """Collects what a module's functions use, so that the Cython text declares just that."""

    def __init__(self, compiler: Compiler, module: Module) -> None:
        self.compiler = compiler
        self.module = module
        self.helpers: dict[str, str] = {}
        self.structs: dict[str, dict[str, str]] = {
            "text": {"data": "const char* data", "length": "u64 length"},
            "message": {},
            "piece": {},
        }
        self.typedefs: dict[str, str] = {}
        self.globals: dict[str, str] = {}
        self.prototypes: dict[str, str] = {}
        self.constants: list[str] = []  # C text for the module's own header
        self.literals: dict[str, str] = {}
        self.lines: list[tuple[str, tuple[str, int] | None]] = []
        self.defined: list[FunctionInstance] = []

    # What is used

    def helper(self, name: str, declaration: str) -> None:
        self.helpers[name] = declaration

    def declarator(self, kind: t.Type, name: str) -> str:
        suffix = ""
        while isinstance(kind, t.Array):
            suffix += f"[{kind.length}]"
            kind = kind.element
        return f"{kind.c} {name}{suffix}"

    def use_type(self, kind: t.Type) -> None:
        match kind:
            case t.ClassType():
                self.use_struct(kind.instance)
            case t.ProtocolType():
                self.use_interface(kind)
            case t.Tuple():
                self.compiler.tuples[kind.c] = kind
                for part in kind.parts:
                    self.use_type(part)
                self.structs[kind.c] = {f"e{i}": f"{part.c} e{i}" for i, part in enumerate(kind.parts)}
            case t.Nullable() | t.Embedded() | t.Pointer() | t.Atomic():
                self.use_type(kind.of)
            case t.Array():
                self.use_type(kind.element)
            case t.Function():
                if kind.c not in self.typedefs:
                    self.compiler.function_types[kind.c] = kind
                    self.typedefs[kind.c] = ""
                    for inner in (*kind.parameters, kind.result):
                        self.use_type(inner)
                    arguments = ", ".join(p.c for p in kind.parameters)
                    self.typedefs[kind.c] = f"ctypedef {kind.result.c} (*{kind.c})({arguments}) noexcept nogil"

    def use_struct(self, instance: ClassInstance) -> None:
        self.structs.setdefault(instance.c, {})

    def use_field(self, instance: ClassInstance, name: str, kind: t.Type) -> None:
        self.use_type(kind)
        self.structs.setdefault(instance.c, {})[name] = self.declarator(kind, c_field(name))

    def use_extension(self, owner: ClassInstance, extension: ClassInstance) -> None:
        self.use_struct(extension)
        self.structs.setdefault(owner.c, {})[extension.c] = f"{extension.c} {extension.c}"

    def per_cpu(self, instance: ClassInstance) -> None:
        self.use_struct(instance)
        self.structs.setdefault("per_cpu", {})[instance.c] = f"{instance.c} {instance.c}"
        self.globals["cx_per_cpu"] = "per_cpu cx_per_cpu[1]"

    def use_interface(self, kind: t.Type) -> None:
        c = kind.c
        if c not in self.structs:
            self.structs[c] = {"object": "void* object", "table": f"{c}_table* table"}
            self.structs.setdefault(f"{c}_table", {})

    def use_interface_method(self, method: FunctionInstance) -> None:
        assert method.owner is not None
        self.use_types_of(method)
        arguments = ", ".join(["void*", *(p.type.c for p in method.parameters)])
        self.structs.setdefault(f"{method.owner.c}_table", {})[method.node.name] = (
            f"{method.return_c} (*{method.node.name})({arguments}) noexcept nogil"
        )

    def interface_cast(self, interface: t.ProtocolType, instance: ClassInstance) -> str:
        self.use_interface(interface)
        self.use_struct(instance)
        name = f"{interface.c}_of_{instance.c}"
        self.compiler.casts[name] = (interface.instance, instance)
        self.helper(name, f"{interface.c} {name}({instance.self_c})")
        return name

    def use_result(self, result: t.Type) -> None:
        self.use_type(result)
        key = f"result_{result_key(result)}"
        self.compiler.results[key] = result
        self.structs[key] = {"value": f"{result.c} value", "error": "i32 error"}

    def use_types_of(self, function: FunctionInstance) -> None:
        if not function.static:
            assert function.owner is not None
            self.use_struct(function.owner)
        for parameter in function.parameters:
            self.use_type(parameter.type)
        if function.raises and function.result not in (t.VOID, t.NEVER):
            self.use_result(function.result)
        else:
            self.use_type(function.result)

    def use_function(self, function: FunctionInstance) -> None:
        self.use_types_of(function)
        arguments = ", ".join(c for c, _ in function.arguments)
        self.prototypes[function.c] = f"{function.return_c} {function.c}({arguments})"

    def use_global(self, found: Global) -> None:
        self.use_type(found.type)
        self.globals[found.c] = self.declarator(found.type, found.c)

    def literal(self, value: str) -> str:
        """The name of a constant text."""
        name = self.literals.get(value)
        if name is None:
            name = self.literals[value] = f"cx_text_{len(self.literals)}"
            data = value.encode()
            self.constants.append(f"static const text {name} = {{ {c_string(data)}, {len(data)} }};")
            self.globals[name] = f"text {name}"
        return name

    def pieces(self, pieces: list[tuple[str, int, int, int]]) -> str:
        """The name of a constant table of message pieces."""
        name = f"cx_pieces_{len(self.constants)}"
        slot = 0
        rows = []
        for literal, kind, width, flags in pieces:
            data = literal.encode()
            rows.append(f"{{ {c_string(data)}, {len(data)}, {slot}, {kind}, {width}, {flags} }}")
            slot += 2 if kind == 2 else 1
        self.constants.append(f"static const piece {name}[] = {{ {', '.join(rows)} }};")
        self.globals[name] = f"const piece* {name}"
        return name

    # The texts

    def cython(self) -> tuple[str, list[tuple[str, int] | None]]:
        """The Cython text, and for each of its lines the Python line it stands for."""
        head = ["cdef extern from * nogil:"]
        head += [f"    ctypedef {c} {name}" for name, c in INTEGERS.items()]
        head += [f"    ctypedef {c} cx_packed_{name}" for name, c in INTEGERS.items() if "char" not in c]
        head += [f"    struct {name}" for name in self.structs]
        head += [f"    {line}" for line in self.typedefs.values() if line]
        for name in self.compiler.embedding_order(self.structs):
            fields = self.structs[name]
            head.append(f"    struct {name}:")
            head += [f"        {text}" for text in fields.values()] or ["        pass"]
        head += [f"    {text}" for text in self.globals.values()]
        head += [f"    {text} noexcept" for text in self.helpers.values()]
        own = {f.c for f in self.defined}
        head += [f"    {text} noexcept" for c, text in self.prototypes.items() if c not in own]
        lines = head + [text for text, _ in self.lines]
        where: list[tuple[str, int] | None] = [None] * len(head) + [position for _, position in self.lines]
        return "\n".join(lines) + "\n", where

    def header(self) -> str:
        return "\n".join(['#include "hv.h"', *self.constants, ""])


def c_string(data: bytes) -> str:
    """Bytes as a C string literal (octal escapes never run into what follows)."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data) + '"'
