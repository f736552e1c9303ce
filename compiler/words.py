"""Lowering the words of hv.lang: conversions, bits, text, messages, atomics, registers, per-CPU data, extensions."""

from __future__ import annotations

import ast
import string
from functools import partial

from compiler import typesystem as t
from compiler.lowering import Frame, Lowering
from compiler.program import Builtin
from compiler.typesystem import Value

ATOMIC = {
    "load": (0, "load"), "load_acquire": (0, "load_acquire"), "load_relaxed": (0, "load_relaxed"),
    "store": (1, "store"), "store_release": (1, "store_release"), "store_relaxed": (1, "store_relaxed"),
    "add": (1, "add"), "sub": (1, "sub"), "or_": (1, "or"),
    "and_": (1, "and"), "exchange": (1, "exchange"), "compare_exchange": (2, "compare_exchange"),
}  # fmt: skip
ARITHMETIC = ("add", "sub", "or", "and")
MESSAGE_PARTS = {
    "literal": ((t.U32,), t.STR), "kind": ((t.U32,), t.U8), "width": ((t.U32,), t.U8), "flags": ((t.U32,), t.U8),
    "value": ((t.U32,), t.U64), "text": ((t.U32,), t.STR),
}  # fmt: skip
UNSIGNED, SIGNED, TEXT, TRUTH, CHARACTER = range(5)


class Words(Lowering):
    def word(self, name: str, node: ast.Call, want: t.Type | None) -> Value:
        if name in t.INTS:
            return self.to_integer(t.INTS[name], node)  # type: ignore[arg-type]
        method = getattr(self, "w_" + name, None)
        if method is None:
            raise self.refuse(node, f"`{name}(…)` is not in the language; docs/language.md lists what is")
        value: Value = method(node, want)
        return value

    def arguments(self, node: ast.Call, count: int) -> list[ast.expr]:
        if len(node.args) != count or node.keywords:
            raise self.refuse(
                node,
                f"`{ast.unparse(node.func)}` takes {count} argument{'s' if count != 1 else ''}: give each by position",
            )
        return node.args

    def operands(self, nodes: list[ast.expr], kinds: tuple[t.Type, ...]) -> list[Value]:
        """Values of the types, evaluated in order."""
        values: list[Value] = []
        for node, kind in zip(nodes, kinds, strict=True):
            values, value = self.then(values, partial(self.argument, node, kind))
            values = [*values, value]
        return values

    # Integers

    def to_integer(self, target: t.Int, node: ast.Call) -> Value:
        value = self.expression(self.arguments(node, 1)[0], target)
        kind = value.type
        if kind is t.BOOL:
            if value.const is not None:
                return self.constant(target, int(value.const))
            return Value(f"<{target.c}>{value.text}", target, cost=value.cost)
        if isinstance(kind, t.EnumType):
            value = Value(value.text, kind.base, const=value.const, cost=value.cost)
        elif isinstance(kind, t.BitsType):
            raise self.refuse(node, f"a Bits value is no integer: write {ast.unparse(node.args[0])}.raw")
        elif not t.is_integer(kind):
            raise self.refuse(node, f"{kind.shown} is no number: integers, bools and enums convert")
        return self.convert_integer(value, target, node)

    def w_bool(self, node: ast.Call, want: t.Type | None) -> Value:
        value = self.expression(self.arguments(node, 1)[0], None)
        if value.type is t.BOOL:
            return value
        if (isinstance(value.type, t.EnumType) and value.type.flags) or t.is_integer(value.type):
            if value.const is not None:
                return self.truth(value.const != 0)
            return Value(f"({value.text} != 0)", t.BOOL, cost=value.cost)
        raise self.refuse(node, "bool(…) takes an integer or flags: write a comparison, such as `is not None`")

    def w_truncate(self, node: ast.Call, want: t.Type | None) -> Value:
        to, source = self.arguments(node, 2)
        target = self.compiler.declarations.type_of(to, self.module, self.scope.environment)
        value = self.expression(source, None)
        if not isinstance(target, t.Int) or not t.is_integer(value.type):
            raise self.refuse(node, "truncate takes an integer type and an integer: truncate(u32, x)")
        if value.const is not None:
            n = value.const & ((1 << target.bits) - 1)
            return self.constant(target, n - (1 << target.bits) if target.signed and n > target.high else n)
        return Value(f"<{target.c}>({value.text})", target, cost=value.cost)

    def extreme(self, node: ast.Call, want: t.Type | None, sign: str) -> Value:
        a, b = self.pair(node, *self.arguments(node, 2), want)
        kind = a.type if a.type is b.type else self.common_type(a, b, node)
        if a.const is not None and b.const is not None:
            n = min(a.const, b.const) if sign == "<" else max(a.const, b.const)
            return Value(str(n), kind, const=n) if kind is t.LITERAL else self.constant(kind, n)
        a, b = self.spill(self.coerce(a, kind, node)), self.spill(self.coerce(b, kind, node))
        chosen = f"(<{kind.c}>{a.text} if {a.text} {sign} {b.text} else <{kind.c}>{b.text})"
        return Value(chosen, kind, cost=max(a.cost, b.cost))

    def w_min(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.extreme(node, want, "<")

    def w_max(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.extreme(node, want, ">")

    def bit_word(self, node: ast.Call, name: str) -> Value:
        value = self.expression(self.arguments(node, 1)[0], None)
        kind = t.base_of(value.type)
        if not isinstance(kind, t.Int) or kind.signed:
            raise self.refuse(node, f"`{name}` takes an unsigned integer of known width: convert it first")
        if value.const is not None and name != "byteswap":
            n = value.const
            if name == "popcount":
                return self.constant(t.U32, n.bit_count())
            if n:
                leading = kind.bits - n.bit_length()
                return self.constant(t.U32, leading if name == "leading_zeros" else (n & -n).bit_length() - 1)
        result = kind if name == "byteswap" else t.U32
        helper = f"cx_{name}_{kind.key}"
        self.unit.helper(helper, f"{result.c} {helper}({kind.key})")
        return Value(f"{helper}({value.text})", result, cost=max(1, value.cost))

    def w_leading_zeros(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.bit_word(node, "leading_zeros")

    def w_trailing_zeros(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.bit_word(node, "trailing_zeros")

    def w_popcount(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.bit_word(node, "popcount")

    def w_byteswap(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.bit_word(node, "byteswap")

    # Sizes and addresses

    def w_len(self, node: ast.Call, want: t.Type | None) -> Value:
        value = self.expression(self.arguments(node, 1)[0], None)
        if isinstance(value.type, t.Array):
            return Value(str(value.type.length), t.LITERAL, const=value.type.length)
        if value.type is t.STR:
            if value.const is not None:
                return Value(str(len(value.const.encode())), t.LITERAL, const=len(value.const.encode()))
            return Value(f"{self.spill(value).text}.length", t.U64, cost=1)
        if isinstance(value.type, t.ClassType):
            method = value.type.instance.method("__len__")
            if method is not None:
                return self.invoke(method, self.reference(value, node), [], node)
        raise self.refuse(node, f"{value.type.shown} has no length: arrays, text and classes with `__len__` have")

    def w_size_of(self, node: ast.Call, want: t.Type | None) -> Value:
        kind = self.compiler.declarations.type_of(self.arguments(node, 1)[0], self.module, self.scope.environment)
        self.unit.use_type(kind)
        if isinstance(kind, t.ClassType):
            self.unit.use_struct(kind.instance)
            return Value(f"<u64>sizeof({kind.instance.c})", t.U64)
        if isinstance(kind, t.Array):
            return Value(f"(<u64>sizeof({kind.element.c}) * {kind.length})", t.U64)
        return Value(f"<u64>sizeof({kind.c})", t.U64)

    def w_address_of(self, node: ast.Call, want: t.Type | None) -> Value:
        self.compiler.declarations.need(self.module, "pointers", node, "address_of")
        value = self.expression(self.arguments(node, 1)[0], None)
        if isinstance(value.type, t.ClassType):
            return Value(f"<u64>{self.reference(value, node).text}", t.U64, cost=value.cost)
        if isinstance(value.type, t.Nullable):
            return Value(f"<u64>{value.text}", t.U64, cost=value.cost)
        if isinstance(value.type, t.Function):
            return Value(f"<u64>{value.text}", t.U64)
        if value.cost:
            return Value(f"<u64>(&{value.text})", t.U64, cost=1)
        if isinstance(value.type, t.Array):
            return Value(f"<u64>(&{value.text}[0])", t.U64, cost=1)
        raise self.refuse(node, f"{value.type.shown} has no address: objects, fields and arrays have")

    def w_symbol(self, node: ast.Call, want: t.Type | None) -> Value:
        self.compiler.declarations.need(self.module, "pointers", node, "symbol")
        (source,) = self.arguments(node, 1)
        if not (isinstance(source, ast.Constant) and isinstance(source.value, str)):
            raise self.refuse(node, 'a linker symbol is named by a constant text: symbol("name")')
        self.compiler.linker_symbols.add(source.value)
        self.unit.helper(f"cx_symbol_{source.value}", f"u64 cx_symbol_{source.value}()")
        return Value(f"cx_symbol_{source.value}()", t.U64)

    def w_str_at(self, node: ast.Call, want: t.Type | None) -> Value:
        self.compiler.declarations.need(self.module, "pointers", node, "str_at")
        address, length = self.operands(self.arguments(node, 2), (t.U64, t.U64))
        self.unit.helper("cx_text_at", "text cx_text_at(u64, u64)")
        return self.spill(Value(f"cx_text_at({address.text}, {length.text})", t.STR, cost=2))

    def w_ptr(self, node: ast.Call, want: t.Type | None) -> Value:
        self.compiler.declarations.need(self.module, "pointers", node, "ptr")
        kind = self.compiler.declarations.type_of(node.func, self.module, self.scope.environment)
        assert isinstance(kind, t.Pointer)
        value = self.coerce(self.expression(self.arguments(node, 1)[0], t.U64), t.U64, node)
        self.unit.use_type(kind)
        return Value(f"(<{kind.c}>{value.text})", kind, cost=value.cost)

    # Layouts

    def w_widen(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.converted(node, widening=True)

    def w_narrow(self, node: ast.Call, want: t.Type | None) -> Value:
        return self.converted(node, widening=False)

    def converted(self, node: ast.Call, widening: bool) -> Value:
        """`widen(compat, into)` and `narrow(x, into)`: all fields of one form into the other."""
        sources = self.arguments(node, 2)
        (source,), target = self.then(
            [self.reference(self.expression(sources[0], None), node)],
            lambda: self.reference(self.expression(sources[1], None), node),
        )
        small, wide = (source, target) if widening else (target, source)
        if (
            not isinstance(small.type, t.ClassType)
            or not isinstance(wide.type, t.ClassType)
            or not small.type.instance.info.compat
            or self.compiler.declarations.compat_of(wide.type.instance) is not small.type.instance
        ):
            takes = (
                "widen(x, into) takes a Compat[T] and a T" if widening else "narrow(x, into) takes a T and a Compat[T]"
            )
            raise self.refuse(
                node, f"{takes}, not {source.type.shown} and {target.type.shown}: give both forms of one class"
            )
        helper = f"{wide.type.instance.c}_{'widened' if widening else 'narrowed'}"
        self.compiler.conversions[helper] = (wide.type.instance, small.type.instance, widening)
        result = t.VOID if widening else t.BOOL
        self.unit.helper(helper, f"{result.c} {helper}({source.type.c}, {target.type.c})")
        return Value(f"{helper}({source.text}, {target.text})", result, cost=2)

    # Text

    def w_ord(self, node: ast.Call, want: t.Type | None) -> Value:
        value = self.expression(self.arguments(node, 1)[0], None)
        if value.type is t.CHAR:
            return Value(value.text, t.U8, cost=value.cost)
        if value.type is t.STR and value.const is not None and len(value.const.encode()) == 1:
            return self.constant(t.U8, value.const.encode()[0])
        raise self.refuse(node, "ord() takes one character: `ord(s[i])`")

    def text_part(self, owner: Value, node: ast.Subscript) -> Value:
        owner = self.spill(owner)
        if isinstance(node.slice, ast.Slice):
            if node.slice.step is not None:
                raise self.refuse(node, "a slice of text has no step: write s[a:b]")
            ends = [Value("0UL", t.U64), Value(f"{owner.text}.length", t.U64, cost=1)]
            for i, bound in enumerate((node.slice.lower, node.slice.upper)):
                if bound is not None:
                    ends[:i], ends[i] = self.then(ends[:i], partial(self.count, bound))
            self.unit.helper("cx_text_part", "text cx_text_part(text, u64, u64)")
            return self.spill(Value(f"cx_text_part({owner.text}, {ends[0].text}, {ends[1].text})", t.STR, cost=2))
        index = self.coerce_integer(self.expression(node.slice, t.U64), node)
        self.unit.helper("cx_text_byte", "u8 cx_text_byte(text, u64)")
        return Value(f"cx_text_byte({owner.text}, {index.text})", t.CHAR, cost=2)

    def count(self, node: ast.expr) -> Value:
        return self.coerce_integer(self.expression(node, t.U64), node)

    def compare_text(self, node: ast.AST, a: Value, op: ast.cmpop, b: Value) -> Value:
        if t.CHAR in (a.type, b.type):
            sides = []
            for value in (a, b):
                if value.type is t.STR and value.const is not None and len(value.const.encode()) == 1:
                    sides.append(str(value.const.encode()[0]))
                elif value.type is t.CHAR:
                    sides.append(value.text)
                else:
                    raise self.refuse(
                        node, "a character compares with a character: a text of one, or ord(…) with a number"
                    )
            sign = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}[type(op)]
            return Value(f"({sides[0]} {sign} {sides[1]})", t.BOOL, cost=2)
        if a.type is not b.type or not isinstance(op, (ast.Eq, ast.NotEq)):
            raise self.refuse(node, "text has no order: it compares with text, by == and !=")
        if a.const is not None and b.const is not None:
            return self.truth((a.const == b.const) is isinstance(op, ast.Eq))
        self.unit.helper("cx_text_same", "boolean cx_text_same(text, text)")
        text = f"cx_text_same({a.text}, {b.text})"
        return Value(text if isinstance(op, ast.Eq) else f"(not {text})", t.BOOL, cost=2)

    def text_method(self, me: Value, name: str, node: ast.Call) -> Value:
        if name not in ("startswith", "endswith"):
            raise self.refuse(node, f"text has no `{name}` here: startswith, endswith")
        (me,), (other,) = self.then_all([me], lambda: self.operands(self.arguments(node, 1), (t.STR,)))
        self.unit.helper(f"cx_text_{name}", f"boolean cx_text_{name}(text, text)")
        return Value(f"cx_text_{name}({me.text}, {other.text})", t.BOOL, cost=2)

    # Messages

    def message(self, node: ast.expr) -> Value:
        """An f-string as constant pieces and an array of values."""
        pieces: list[tuple[str, int, int, int]] = []  # the literal before, kind, width, flags
        values: list[list[str]] = []
        literal = ""
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        for part in parts:
            if isinstance(part, ast.Constant):
                literal += part.value
                continue
            assert isinstance(part, ast.FormattedValue)
            if part.conversion != -1:
                raise self.refuse(part, "no !r, !s, !a in a message: leave it out")
            for before, kind, width, flags, words in self.pieces(part):
                pieces.append((literal + before, kind, width, flags))
                values.append(words)
                literal = ""
        table = self.unit.pieces([*pieces, (literal, 0, 0, 0)])
        self.unit.helper("cx_message", "message cx_message(const piece*, u64*, u32)")
        if not values:
            return self.spill(Value(f"cx_message({table}, NULL, 0)", t.MESSAGE, cost=2))
        store = self.raw_temporary("u64", f"[{sum(map(len, values))}]")
        index = 0
        for words in values:
            for text in words:
                self.emit(f"{store}[{index}] = {text}")
                index += 1
        return self.spill(Value(f"cx_message({table}, &{store}[0], {len(values)})", t.MESSAGE, cost=2))

    def message_of_text(self, value: Value) -> Value:
        """A str passed as a message: one piece of text."""
        value = self.spill(value)
        table = self.unit.pieces([("", TEXT, 0, 0), ("", 0, 0, 0)])
        self.unit.helper("cx_message", "message cx_message(const piece*, u64*, u32)")
        store = self.raw_temporary("u64", "[2]")
        self.emit(f"{store}[0] = <u64>{value.text}.data")
        self.emit(f"{store}[1] = {value.text}.length")
        return self.spill(Value(f"cx_message({table}, &{store}[0], 1)", t.MESSAGE, cost=2))

    def pieces(self, part: ast.FormattedValue) -> list[tuple[str, int, int, int, list[str]]]:
        """What one placeholder becomes: several pieces for a bit-field class."""
        value = self.spill(self.expression(part.value, None))
        spec = ""
        if isinstance(part.format_spec, ast.JoinedStr):
            spec = "".join(p.value for p in part.format_spec.values if isinstance(p, ast.Constant))
        width, flags = self.format_spec(spec, part)
        kind = value.type
        if isinstance(kind, t.BitsType):
            found = [("", UNSIGNED, 0, 3, [f"<u64>{value.text}"])]
            for i, (name, bits) in enumerate(kind.fields.items()):
                field_text = f"<u64>(({value.text} >> {bits.low}) & {self.number(bits.mask, kind.base)})"
                found.append((f"{' (' if i == 0 else ', '}{name}=", UNSIGNED, 0, 3, [field_text]))
            return [*found, (")" if kind.fields else "", TEXT, 0, 0, ["0", "0"])]
        if kind is t.STR:
            return [("", TEXT, width, flags, [f"<u64>{value.text}.data", f"{value.text}.length"])]
        if kind is t.BOOL:
            return [("", TRUTH, width, flags, [f"<u64>{value.text}"])]
        if kind is t.CHAR:
            return [("", CHARACTER, width, flags, [f"<u64>{value.text}"])]
        base = t.base_of(kind)
        if base is t.LITERAL:
            value = self.coerce(value, t.I64 if value.const < 0 else t.U64, part)
            base = value.type
        if isinstance(kind, t.EnumType):
            raise self.refuse(
                part,
                f"an enum member is printed by name or number: write {{{ast.unparse(part.value)}.name}}, or convert it",
            )
        if not isinstance(base, t.Int):
            raise self.refuse(part, f"{kind.shown} cannot be printed: name one of its fields")
        if base.signed:
            return [("", SIGNED, width, flags, [f"<u64>(<i64>{value.text})"])]
        return [("", UNSIGNED, width, flags, [f"<u64>{value.text}"])]

    def format_spec(self, spec: str, node: ast.AST) -> tuple[int, int]:
        flags = 0
        rest = spec
        if rest.startswith("#"):
            flags |= 2
            rest = rest[1:]
        if rest.startswith("0") and len(rest) > 1:
            flags |= 4
            rest = rest[1:]
        digits = rest.rstrip(string.ascii_letters)
        tail = rest[len(digits) :]
        if tail not in ("", "x", "d") or (digits and not digits.isdecimal()):
            raise self.refuse(node, f"`:{spec}`: a format is [#][0][width][x]")
        return int(digits or 0), flags | (1 if tail == "x" else 0)

    def message_part(self, me: Value, name: str, node: ast.Call) -> Value:
        if name not in MESSAGE_PARTS:
            raise self.refuse(node, f"Message has no `{name}`: it has {', '.join(MESSAGE_PARTS)}")
        kinds, result = MESSAGE_PARTS[name]
        arguments = self.operands(self.arguments(node, len(kinds)), kinds)
        helper = f"cx_message_{name}"
        self.unit.helper(helper, f"{result.c} {helper}({', '.join(['message', *(k.c for k in kinds)])})")
        texts = ", ".join([me.text, *(a.text for a in arguments)])
        return self.spill(Value(f"{helper}({texts})", result, cost=2))

    # Atomics and registers

    def atomic(self, me: Value, kind: t.Atomic, name: str, node: ast.Call) -> Value:
        self.compiler.declarations.need(self.module, "atomics", node, f"Atomic.{name}")
        if name not in ATOMIC:
            raise self.refuse(node, f"Atomic has no `{name}`: it has {', '.join(ATOMIC)}")
        count, operation = ATOMIC[name]
        of = kind.of
        if isinstance(of, t.Nullable) and operation in ARITHMETIC:
            raise self.refuse(node, f"{kind.shown} has no `{name}`: a reference is loaded, stored and exchanged")
        (me,), operands = self.then_all([me], lambda: self.operands(self.arguments(node, count), (of,) * count))
        helper = f"cx_atomic_{operation}_{of.c}"
        declared = helper
        if isinstance(of, t.Nullable):
            helper = f"cx_atomic_{operation}_{of.key}"
            declared = f'{helper} "cx_atomic_ref_{operation}"'
            self.unit.use_type(of)
        result = t.VOID if operation.startswith("store") else t.BOOL if operation == "compare_exchange" else of
        self.unit.helper(helper, f"{result.c} {declared}({', '.join([of.c + '*'] + [of.c] * count)})")
        return Value(f"{helper}({', '.join(['&' + me.text, *(o.text for o in operands)])})", result, cost=2)

    def register(self, me: Value, name: str, node: ast.Call) -> Value:
        assert isinstance(me.type, t.RegisterType)
        self.compiler.registers.setdefault(me.type.name, len(self.compiler.registers))
        if name == "read":
            self.arguments(node, 0)
            self.unit.helper(f"cx_read_{me.type.name}", f"u64 cx_read_{me.type.name}()")
            return Value(f"cx_read_{me.type.name}()", t.U64, cost=2)
        if name == "write":
            value = self.coerce(self.expression(self.arguments(node, 1)[0], t.U64), t.U64, node)
            self.unit.helper(f"cx_write_{me.type.name}", f"void cx_write_{me.type.name}(u64)")
            return Value(f"cx_write_{me.type.name}({value.text})", t.VOID, cost=2)
        raise self.refuse(node, "a system register is only moved: read() and write(x)")

    # Per-CPU data and extensions

    def class_word(self, node: ast.Call, func: ast.Attribute) -> Value | None:
        """`RunQueue.this()`, `RunQueue.on(cpu)`, `Vgic.of(domain)`."""
        instance = self.named_class(func.value)
        if instance is None:
            return None
        if instance.info.per_cpu and func.attr in ("this", "on"):
            self.unit.per_cpu(instance)
            if func.attr == "this":
                self.arguments(node, 0)
                self.unit.helper("cx_this_cpu", "per_cpu* cx_this_cpu()")
                return Value(f"cx_this_cpu().{instance.c}", instance.type, cost=1, place=True)
            cpu = self.coerce_integer(self.expression(self.arguments(node, 1)[0], t.U32), node)
            self.unit.helper("cx_index", "u64 cx_index(u64, u64)")
            at = f"cx_index(<u64>{cpu.text}, {self.compiler.program.config.get('CONFIG_NR_CPUS', 4)})"
            return Value(f"cx_per_cpu[{at}].{instance.c}", instance.type, cost=max(1, cpu.cost), place=True)
        if instance.info.extends is not None and func.attr == "of":
            owner = self.compiler.extended(instance)
            value = self.coerce(self.expression(self.arguments(node, 1)[0], owner.type), owner.type, node)
            self.unit.use_extension(owner, instance)
            place = f"{value.text.removeprefix('&')}.{instance.c}"
            return Value(place, instance.type, cost=max(1, value.cost), place=True, origin=value.origin)
        raise self.refuse(node, f"{instance.shown} has no static method `{func.attr}`: mark one @staticmethod")

    def w_attach_percpu(self, node: ast.Call, want: t.Type | None) -> Value:
        """Where the area lies is read without a word to the C compiler that this changes it, so that it reads it once.
        It may then read it before this, unless that stands in no function that uses the area, nor in one that calls
        such a function.
        """
        body = self.function.node.body[ast.get_docstring(self.function.node) is not None :]
        alone = len(body) == 1 and isinstance(body[0], ast.Expr) and body[0].value is node
        if not self.compiler.program.target.hosted and not (alone and "export" in self.function.decorators):
            raise self.refuse(
                node, "attach_percpu stands alone in a function that assembly calls: make it one with @export"
            )
        cpu = self.coerce_integer(self.expression(self.arguments(node, 1)[0], t.U32), node)
        self.unit.helper("cx_attach_cpu", "void cx_attach_cpu(u64)")
        return Value(f"cx_attach_cpu({cpu.text})", t.VOID, cost=2)

    def w_init_extensions(self, node: ast.Call, want: t.Type | None) -> Value:
        """Each extension's `init`; when one raises, those done are torn down and the error goes on."""
        owner, extensions = self.extended_object(node)
        done: list[Value] = []
        for extension in extensions:
            method = extension.method("init")
            me = Value(f"&{owner.text}.{extension.c}", extension.type, origin=owner.origin)
            self.unit.use_extension(owner.type.instance, extension)  # type: ignore[attr-defined]
            if method is not None:
                undo = list(reversed(done))

                def release(undo: list[Value] = undo) -> None:
                    self.tear_down(undo, owner, node)

                self.frames.append(Frame(self.scope, "guard", release=release))
                result = self.invoke(method, me, [owner], node)
                if result.text:
                    self.emit(result.text)
                self.frames.pop()
            done.append(me)
        return Value("", t.VOID)

    def w_teardown_extensions(self, node: ast.Call, want: t.Type | None) -> Value:
        owner, extensions = self.extended_object(node)
        for extension in extensions:
            self.unit.use_extension(owner.type.instance, extension)  # type: ignore[attr-defined]
        parts = [Value(f"&{owner.text}.{e.c}", e.type, origin=owner.origin) for e in reversed(extensions)]
        self.tear_down(parts, owner, node)
        return Value("", t.VOID)

    def w_step_extensions(self, node: ast.Call, want: t.Type | None) -> Value:
        """One step of each extension's `teardown_step`, as long as those before say that nothing is left."""
        owner, extensions = self.extended_object(node)
        done = self.temporary(t.BOOL)
        self.emit(f"{done} = 1")
        for extension in reversed(extensions):
            method = extension.method("teardown_step")
            if method is None:
                continue
            if method.result is not t.BOOL or method.raises:
                raise method.module.refuse(
                    method.node,
                    "`teardown_step` says whether nothing is left: `(self, owner: T) -> bool`, and cannot raise",
                )
            self.unit.use_extension(owner.type.instance, extension)  # type: ignore[attr-defined]
            me = Value(f"&{owner.text}.{extension.c}", extension.type, origin=owner.origin)
            with self.block(f"if {done}:"):
                self.emit(f"{done} = {self.invoke(method, me, [owner], node).text}")
        return Value(done, t.BOOL, cost=1)

    def tear_down(self, extensions: list[Value], owner: Value, node: ast.Call) -> None:
        for me in extensions:
            method = me.type.instance.method("teardown")  # type: ignore[attr-defined]
            if method is not None:
                self.emit(self.invoke(method, me, [owner], node).text)

    def extended_object(self, node: ast.Call) -> tuple[Value, list]:  # type: ignore[type-arg]
        value = self.expression(self.arguments(node, 1)[0], None)
        if not isinstance(value.type, t.ClassType) or not value.type.instance.info.extensible:
            raise self.refuse(node, "extensions belong to an object of an @extensible class: mark its class")
        return self.spill(self.reference(value, node)), self.compiler.extensions(value.type.instance)

    def builtin_named(self, node: ast.expr, name: str) -> bool:
        found = self.compiler.program.look_up(self.module, node.id) if isinstance(node, ast.Name) else None
        return isinstance(found, Builtin) and found.name == name
