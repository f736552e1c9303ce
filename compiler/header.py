"""The C that the front end writes itself: declarations shared by all modules, and the definitions of data.

`hv.h` holds types, structures, prototypes and small inline functions; `data.c` the variables, tables and interface
tables. The plain declarations among them also serve the host tests through cffi.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from compiler import abi
from compiler import typesystem as t
from compiler.instances import ClassInstance, FunctionInstance
from compiler.lowering import c_field
from compiler.prelude import TYPES, helpers
from compiler.unit import c_string
from compiler.whole_types import Global
from hv.lang.errno import NUMBERS

if TYPE_CHECKING:
    from compiler.whole import Compiler

OPERAND = re.compile(r"\{(\w+)(?::(\w))?\}")
WIDTHS = {
    "arm64": {"": "x", "w": "w", "i": "c"},
    "x86": {"": "q", "w": "k", "h": "w", "b": "b", "i": "c"},
}
"""What clang calls the forms of an operand: 64 bits, a word of 32, a half of 16, a byte, a constant."""
FIXED = {f"{prefix}{letter}x": letter for letter in "abcd" for prefix in "re"} | {
    f"{prefix}{name}": constraint for name, constraint in (("si", "S"), ("di", "D")) for prefix in "re"
}
"""Registers of x86 that an operand may be tied to, and clang's constraints for them."""


FOR_CFFI = 16
"""The alignment of what is aligned to so much or more, as cffi sees it: it knows no attribute for that."""


class Header:
    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.hosted = compiler.program.target.hosted

    # Structures

    def instances(self) -> list[ClassInstance]:
        """Every class, what is embedded before what embeds it."""
        found = {i.c: i for i in self.compiler.declarations.instances.values() if i.info.shape != "protocol"}
        return [found[name] for name in self.compiler.embedding_order(list(found)) if name in found]

    def declarator(self, kind: t.Type, name: str) -> str:
        suffix = ""
        while isinstance(kind, t.Array):
            suffix += f"[{kind.length}]"
            kind = kind.element
        return f"{kind.c} {name}{suffix}"

    def structure(self, instance: ClassInstance, attributes: bool) -> str:
        fields = self.fields(instance)
        fields += [f"{e.c} {e.c}" for e in self.compiler.extensions(instance)]
        body = " ".join(f"{f};" for f in fields) or "u8 cx_empty;"
        if instance.info.union:
            body = f"union {{ {body} }};"
        marks = []
        if instance.info.packed or instance.info.compat:
            marks.append("packed")  # kept for cffi too: compiler/foreign.py reads it
        if instance.info.compat:
            marks.append(f"aligned({abi.layout(instance).alignment})")
        if instance.info.alignment is not None:
            n = self.compiler.constant_of(instance.info.alignment, instance.info.module, {}).value
            if attributes:
                marks.append(f"aligned({n})")
            elif n >= FOR_CFFI:
                body = f"long double cx_aligned[0]; {body}"
        attribute = f" __attribute__(({', '.join(marks)}))" if marks else ""
        return f"struct {instance.c} {{ {body} }}{attribute};"

    def fields(self, instance: ClassInstance) -> list[str]:
        """The fields' declarations; where the layout is the i386 ABI's, with every gap written out."""
        shown = {
            name: self.declarator(kind, c_field(name))
            for name, kind in instance.fields.items()
            if not isinstance(kind, t.ConstType)
        }
        if not instance.info.compat or instance.info.union:
            return list(shown.values())
        laid = abi.layout(instance)
        fields: list[str] = []
        end = 0
        for name, text in shown.items():
            place = laid.fields[name]
            if place.offset > end:
                fields.append(f"u8 cx_gap_{end}[{place.offset - end}]")
            fields.append(text)
            end = place.offset + place.size
        if laid.size > end:
            fields.append(f"u8 cx_gap_{end}[{laid.size - end}]")
        return fields

    def conversions(self) -> list[str]:
        """Functions between an ABI's class and its form for 32-bit callers."""
        lines = []
        for name, (wide, small, widening) in self.compiler.conversions.items():
            checks, copies = abi.conversion(wide, small, widening)
            source, target = (small, wide) if widening else (wide, small)
            head = f"CX_INLINE {'void' if widening else 'boolean'} {name}(const {source.c} *from, {target.c} *to)"
            lines.append(f"{head} {{ {' '.join([*checks, *copies])}{'' if widening else ' return 1;'} }}")
        return lines

    def declarations(self, attributes: bool) -> list[str]:
        """Type declarations without code: what cffi reads too."""
        compiler = self.compiler
        instances = self.instances()
        protocols = [i for i in compiler.declarations.instances.values() if i.info.shape == "protocol"]
        for instance in instances:
            for kind in instance.fields.values():
                self.note_function_types(kind)
        for found in compiler.globals.found.values():
            self.note_function_types(found.type)
        lines = [f"typedef struct {i.c} {i.c};" for i in instances]
        for protocol in protocols:
            lines.append(f"typedef struct {protocol.c}_table {protocol.c}_table;")
            lines.append(f"typedef struct {protocol.c} {protocol.c};")
            lines.append(f"struct {protocol.c} {{ void *object; const {protocol.c}_table *table; }};")
        lines += [f"typedef struct {key} {key};" for key in compiler.tuples]
        emitted: set[str] = set()
        for kind in list(compiler.function_types.values()):
            self.function_type(kind, lines, emitted)
        lines += [self.structure(i, attributes) for i in instances]
        for key, made in sorted(compiler.tuples.items(), key=lambda item: item[1].depth):
            parts = " ".join(f"{part.c} e{i};" for i, part in enumerate(made.parts))
            lines.append(f"struct {key} {{ {parts} }};")
        for key, result in compiler.results.items():
            lines.append(f"typedef struct {key} {key}; struct {key} {{ {result.c} value; i32 error; }};")
        for protocol in protocols:
            methods = []
            for name in protocol.info.methods:
                method = protocol.method(name)
                assert method is not None
                arguments = ", ".join(["void *", *(p.type.c for p in method.parameters)])
                ends = method.result is t.NEVER and not method.raises
                never = "__attribute__((noreturn)) " if attributes and ends else ""
                methods.append(f"{never}{method.return_c} (*{name})({arguments});")
            lines.append(f"struct {protocol.c}_table {{ {' '.join(methods) or 'u8 cx_empty;'} }};")
        if compiler.per_cpu_classes:
            fields = " ".join(f"{c.c} {c.c};" for c in compiler.per_cpu_classes)
            if compiler.program.target.architecture == "x86":
                fields = f"struct per_cpu *cx_self; {fields}"
            aligned = " __attribute__((aligned(64)))" if attributes else ""
            lines.append(f"typedef struct per_cpu per_cpu; struct per_cpu {{ {fields} }}{aligned};")
        return lines

    def note_function_types(self, kind: t.Type) -> None:
        while isinstance(kind, (t.Array, t.Nullable)):
            kind = kind.element if isinstance(kind, t.Array) else kind.of
        if isinstance(kind, t.Function):
            self.compiler.function_types[kind.c] = kind

    def function_type(self, kind: t.Function, lines: list[str], emitted: set[str]) -> None:
        if kind.c in emitted:
            return
        emitted.add(kind.c)
        for inner in (*kind.parameters, kind.result):
            inner = inner.of if isinstance(inner, t.Nullable) else inner
            if isinstance(inner, t.Function):
                self.function_type(inner, lines, emitted)
        lines.append(f"typedef {kind.result.c} (*{kind.c})({', '.join(p.c for p in kind.parameters) or 'void'});")

    def functions(self) -> list[FunctionInstance]:
        return [f for f in self.compiler.lowered.values() if "asm" not in f.decorators and not self.left_out(f)]

    def left_out(self, function: FunctionInstance) -> bool:
        return "test_only" in function.decorators and not self.hosted

    def prototype(self, function: FunctionInstance, attributes: bool = True) -> str:
        arguments = ", ".join(f"{c} {c_field(name)}" for c, name in function.arguments) or "void"
        said = ""
        if attributes and function.result is t.NEVER and not function.raises:
            said = "__attribute__((noreturn, cold)) "
        elif attributes and "rarely" in function.decorators:
            said = "__attribute__((noinline, cold)) "
        elif attributes and "apart" in function.decorators:
            said = "__attribute__((noinline)) "
        return f"{said}{function.return_c} {function.c}({arguments})"

    def variables(self) -> list[Global]:
        return [
            g
            for g in self.compiler.globals.found.values()
            if g.constant is None and not isinstance(g.type, t.RegisterType)
        ]

    # hv.h

    def text(self) -> str:
        compiler = self.compiler
        lines = ["#pragma once", TYPES + helpers(self.hosted), *self.declarations(attributes=True)]
        for g in self.variables():
            lines.append(f"extern {'const ' if g.read_only else ''}{self.declarator(g.type, g.c)};")
        lines += self.conversions()
        lines += [self.per_cpu_text()] if compiler.per_cpu_classes else []
        lines += [f"{self.prototype(f)};" for f in self.functions()]
        for key, result in compiler.results.items():
            lines.append(f"CX_INLINE {key} {key}_done({result.c} value) {{ return ({key}){{ .value = value }}; }}")
            lines.append(f"CX_INLINE {key} {key}_failed(i32 error) {{ return ({key}){{ .error = error }}; }}")
        for name, (interface, instance) in sorted(compiler.casts.items()):
            table = f"{interface.c}_for_{instance.c}"
            lines.append(f"extern const {interface.c}_table {table};")
            made = f"({interface.c}){{ object, &{table} }}"
            lines.append(f"CX_INLINE {interface.c} {name}({instance.c} *object) {{ return {made}; }}")
        lines += [self.enum_name(e) for e in compiler.named_enums.values()]
        lines += [self.enum_check(e) for e in compiler.checked_enums.values()]
        lines.append("_Noreturn void cx_assertion_failed(text said);")
        lines.append("text cx_errno_name(i32 error);")
        weak = " __attribute__((weak))" if self.hosted else ""
        for s in sorted(compiler.linker_symbols):
            lines.append(f"extern char {s}[]{weak};")
            lines.append(f"CX_INLINE u64 cx_symbol_{s}(void) {{ return (u64){s}; }}")
        lines += self.registers()
        lines += [self.assembly(f) for f in compiler.lowered.values() if "asm" in f.decorators]
        return "\n".join(lines) + "\n"

    def per_cpu_text(self) -> str:
        count = self.compiler.program.config.get("CONFIG_NR_CPUS", 4)
        lines = [f"extern per_cpu cx_per_cpu[{count}];"]
        if self.hosted:
            lines.append("extern __thread per_cpu *cx_current;")
            lines.append("CX_INLINE per_cpu *cx_this_cpu(void) { return cx_current; }")
            lines.append("CX_INLINE void cx_attach_cpu(u64 cpu) { cx_current = &cx_per_cpu[cpu]; }")
        elif self.compiler.program.target.architecture == "x86":
            # The area's first word is its own address: one load finds it.
            base = "0xC0000101"  # IA32_GS_BASE
            write = f'__asm__ volatile("wrmsr" : : "c"({base}), "a"((u32)area), "d"((u32)(area >> 32)) : "memory");'
            lines.append(
                'CX_INLINE per_cpu *cx_this_cpu(void) { per_cpu *a; __asm__("movq %%gs:0, %0" : "=r"(a)); return a; }'
            )
            lines.append("CX_INLINE void cx_attach_cpu(u64 cpu) {")
            lines.append(
                f"    u64 area = (u64)&cx_per_cpu[cpu]; cx_per_cpu[cpu].cx_self = &cx_per_cpu[cpu]; {write} }}"
            )
        else:
            read = '__asm__("mrs %0, tpidr_el2" : "=r"(area));'
            write = '__asm__ volatile("msr tpidr_el2, %0" : : "r"(&cx_per_cpu[cpu]) : "memory");'
            lines.append(f"CX_INLINE per_cpu *cx_this_cpu(void) {{ per_cpu *area; {read} return area; }}")
            lines.append(f"CX_INLINE void cx_attach_cpu(u64 cpu) {{ {write} }}")
        return "\n".join(lines)

    def enum_name(self, kind: t.EnumType) -> str:
        cases = " ".join(
            f"case {n}: return (text){{ {c_string(name.encode())}, {len(name)} }};"
            for name, n in first_names(kind).items()
        )
        head = f"static inline __attribute__((unused)) text {kind.key}_name({kind.c} x)"
        return f'{head} {{ switch (x) {{ {cases} }} return (text){{ "?", 1 }}; }}'

    def enum_check(self, kind: t.EnumType) -> str:
        head = f"CX_INLINE {kind.c} {kind.key}_checked({kind.c} x)"
        if kind.flags:
            mask = 0
            for n in kind.members.values():
                mask |= n
            return f"{head} {{ if (x & ~{mask}UL) CX_STOP(); return x; }}"
        cases = " ".join(f"case {n}{'UL' if n > 0x7FFFFFFF else ''}:" for n in sorted(set(kind.members.values())))
        return f"{head} {{ switch (x) {{ {cases} return x; }} CX_STOP(); }}"

    def registers(self) -> list[str]:
        names = self.compiler.registers
        if self.hosted:
            lines = [f"extern __thread u64 cx_registers[{len(names) or 1}];"]
            for name, index in names.items():
                lines.append(f"CX_INLINE u64 cx_read_{name}(void) {{ return cx_registers[{index}]; }}")
                lines.append(f"CX_INLINE void cx_write_{name}(u64 value) {{ cx_registers[{index}] = value; }}")
            return lines
        lines = []
        for name in names:
            if self.compiler.program.target.architecture == "x86":
                read = f'__asm__ volatile("movq %%{name}, %0" : "=r"(value) : : "memory");'
                write = f'__asm__ volatile("movq %0, %%{name}" : : "r"(value) : "memory");'
            else:
                read = f'__asm__ volatile("mrs %0, {name}" : "=r"(value));'
                write = f'__asm__ volatile("msr {name}, %0" : : "r"(value) : "memory");'
            lines.append(f"CX_INLINE u64 cx_read_{name}(void) {{ u64 value; {read} return value; }}")
            lines.append(f"CX_INLINE void cx_write_{name}(u64 value) {{ {write} }}")
        return lines

    def player(self, function: FunctionInstance) -> FunctionInstance | None:
        """The @export function that stands for an @asm function on the simulated machine."""
        name = f"played_{function.c}"
        for other in self.compiler.lowered.values():
            if other.c == name and "export" in other.decorators:
                same = [c for c, _ in function.arguments] == [c for c, _ in other.arguments]
                if not same or function.return_c != other.return_c:
                    raise other.module.refuse(
                        other.node, f"`{function.qualified}` has other types: who plays it takes and gives what it does"
                    )
                return other
        return None

    def assembly(self, function: FunctionInstance) -> str:
        """An @asm function as an inline function; on a host it does what `played_NAME` does (NAME: as in C), or nothing
        and returns 0."""
        result = function.result
        value = result is not t.VOID and result is not t.NEVER
        never = "_Noreturn " if result is t.NEVER else ""
        arguments = ", ".join(f"{c} {c_field(n)}" for c, n in function.arguments) or "void"
        head = f"CX_INLINE {never}{result.c} {function.c}({arguments})"
        if self.hosted and (player := self.player(function)):
            given = ", ".join(c_field(n) for _, n in function.arguments)
            return f"{head} {{ {'return ' if value else ''}{player.c}({given}); }}"
        if self.hosted:
            zero = f"({result.c}){{0}}" if isinstance(result, t.Tuple) else "0"
            return f"{head} {{ {f'return {zero};' if value else '__builtin_trap();' if result is t.NEVER else ''} }}"
        call: Any = function.decorators["asm"]
        if not (
            isinstance(call, ast.Call)
            and len(call.args) == 1
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
        ):
            raise function.module.refuse(call, 'an @asm has its instructions as a text: write @asm("instructions")')
        words = self.assembly_words(function, call)
        pure = bool(words.pop("pure", False))
        changed = str(words.pop("changes", "")).split()
        outputs = self.assembly_outputs(function, call, words)
        known = {name for _, name in function.arguments} | {name for name, _, _ in outputs}
        architecture = self.compiler.program.target.architecture
        for name, register in words.items():
            if name not in known or register not in FIXED or architecture != "x86":
                fixed = ", ".join(r for r in FIXED if r.startswith("r"))
                raise function.module.refuse(
                    call, f"`{name}={register!r}`: on x86 a parameter or `result` may be tied to {fixed}"
                )
        widths = WIDTHS[architecture]
        immediates: set[str] = set()

        def operand(found: re.Match[str]) -> str:
            name, form = found.group(1), found.group(2) or ""
            if name not in known or form not in widths:
                raise function.module.refuse(
                    call,
                    f"`{found.group(0)}` names no parameter: an operand is one, or `result`",
                )
            if form == "i":
                immediates.add(name)
            return f"%{widths[form]}[{c_field(name)}]"

        def constraint(name: str) -> str:
            return FIXED[words[name]] if name in words else "r"

        text = OPERAND.sub(operand, call.args[0].value.replace("%", "%%"))
        inputs = ", ".join(
            f'[{c_field(n)}] "{"i" if n in immediates else constraint(n)}"'
            f"({'(u64)' if c.endswith('*') else ''}{c_field(n)})"
            for c, n in function.arguments
        )
        output = ", ".join(f'[{name}] "={place or constraint(name)}"({name})' for name, _, place in outputs)
        flags = any(place.startswith("@") for _, _, place in outputs)
        clobbers = ", ".join(
            f'"{n}"' for n in (*changed, *(() if pure else ("memory",) if flags else ("memory", "cc")))
        )
        volatile, clobbered = "" if pure else "volatile", f" : {clobbers}" if clobbers else ""
        body = f"__asm__ {volatile}({c_string(text.encode())} : {output} : {inputs}{clobbered});"
        locals_ = " ".join(f"{'u64' if wide(kind) else 'u32'} {name};" for name, kind, _ in outputs)
        if isinstance(result, t.Tuple):
            parts = ", ".join(f"({kind.c}){name}" for name, kind, _ in outputs)
            return f"{head} {{ {locals_} {body} return ({result.c}){{ {parts} }}; }}"
        if value:
            return f"{head} {{ {locals_} {body} return ({result.c})result; }}"
        return f"{head} {{ {body}{' __builtin_unreachable();' if result is t.NEVER else ''} }}"

    def assembly_outputs(
        self, function: FunctionInstance, call: ast.Call, words: dict[str, Any]
    ) -> list[tuple[str, t.Type, str]]:
        """Name, type and place of each result; an empty place is any register, or the one that a word names."""
        result = function.result
        places: list[str]
        if isinstance(result, t.Tuple):
            kinds, names = list(result.parts), [f"result{i}" for i in range(len(result.parts))]
            places = str(words.pop("results", "")).split() or ["any"] * len(kinds)
        elif result in (t.VOID, t.NEVER):
            return []
        else:
            kinds, names = [result], ["result"]
            places = (
                [words.pop("result")] if str(words.get("result", "")).startswith("@") else [words.get("result", "any")]
            )
        registers = FIXED if self.compiler.program.target.architecture == "x86" else {}
        several = len(kinds) > 1
        found = []
        for name, kind, place in zip(names, kinds, places, strict=False):
            if place.startswith("@") and kind is t.BOOL:
                found.append((name, kind, f"@cc{place[1:]}"))
            elif place == "any":
                found.append((name, kind, "&r" if several else ""))  # an operand may still be needed behind it
            elif place in registers:
                found.append((name, kind, registers[place]))
        if not len(found) == len(kinds) == len(places):
            raise function.module.refuse(
                call, 'each result of an @asm has a register, any, or for a bool a condition: results="rax any @c"'
            )
        return found

    @staticmethod
    def assembly_words(function: FunctionInstance, call: ast.Call) -> dict[str, Any]:
        """The keywords of an @asm, which are constants."""
        found: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or not isinstance(keyword.value, ast.Constant):
                raise function.module.refuse(
                    call,
                    'the words of an @asm are constants: @asm("…", pure=True, changes="…", parameter="register")',
                )
            found[keyword.arg] = keyword.value.value
        return found

    # data.c

    def data(self) -> str:
        compiler = self.compiler
        lines = ['#include "hv.h"']
        for g in self.variables():
            initial = f" = {g.initial}" if g.initial is not None else ""
            lines.append(f"{'const ' if g.read_only else ''}{self.declarator(g.type, g.c)}{initial};")
        if compiler.per_cpu_classes:
            lines.append(f"per_cpu cx_per_cpu[{compiler.program.config.get('CONFIG_NR_CPUS', 4)}];")
            if self.hosted:
                lines.append("__thread per_cpu *cx_current = &cx_per_cpu[0];")
        if self.hosted:
            lines.append(f"__thread u64 cx_registers[{len(compiler.registers) or 1}];")
            lines.append("void (*cx_turn)(void);")
        for _, (interface, instance) in sorted(compiler.casts.items()):
            rows = []
            for name in interface.info.methods:
                method = instance.method(name)
                assert method is not None
                rows.append(f".{name} = (void *){method.c}")
            lines.append(f"const {interface.c}_table {interface.c}_for_{instance.c} = {{ {', '.join(rows) or '0'} }};")
        cases = " ".join(f'case {n}: return (text){{ "{name}", {len(name)} }};' for name, n in NUMBERS.items())
        lines.append(f'text cx_errno_name(i32 error) {{ switch (error) {{ {cases} }} return (text){{ "E?", 2 }}; }}')
        if self.hosted:
            lines.append("extern long write(int, const void *, unsigned long);")
            say = 'write(2, said.data, said.length); write(2, "\\n", 1);'
            lines.append(f"_Noreturn void cx_assertion_failed(text said) {{ {say} __builtin_trap(); }}")
            for f in compiler.lowered.values():
                if "extern" in f.decorators:
                    lines.append(f"__attribute__((weak)) {self.prototype(f)} {{ __builtin_trap(); }}")
        else:
            lines.append("_Noreturn void cx_assertion_failed(text said) { (void)said; __builtin_trap(); }")
        return "\n".join(lines) + "\n"

    # Offsets for assembly

    def offsets_source(self) -> str:
        """C whose assembly output holds `->NAME value` lines for asm_offsets.h."""
        values: dict[str, str] = {}
        for instance in self.instances():
            if instance.info.assembly:
                name = instance.info.declaration.name
                values[f"{name}_SIZE"] = f"sizeof({instance.c})"
                for field, kind in instance.fields.items():
                    if not isinstance(kind, t.ConstType):
                        values[f"{name}_{field}"] = f"__builtin_offsetof({instance.c}, {c_field(field)})"
        if self.compiler.per_cpu_classes:
            values["PER_CPU_SIZE"] = "sizeof(per_cpu)"
            for c in self.compiler.per_cpu_classes:
                if c.info.assembly:
                    values[f"PER_CPU_{c.info.declaration.name}"] = f"__builtin_offsetof(per_cpu, {c.c})"
        lines = [f'__asm__ volatile(".ascii \\"->{name} %c0\\"" : : "i"({value}));' for name, value in values.items()]
        return "\n".join(['#include "hv.h"', "void cx_offsets(void) {", *lines, "}", ""])


def wide(kind: t.Type) -> bool:
    """Whether a result takes a register of 64 bits."""
    return kind.c in ("u64", "i64") or kind.c.endswith("*")


def first_names(kind: t.EnumType) -> dict[str, int]:
    """One name for each number."""
    found: dict[int, str] = {}
    for name, n in kind.members.items():
        found.setdefault(n, name)
    return {name: n for n, name in found.items()}
