"""Lowering operators: arithmetic, shifts, truth, comparisons, identity, membership and conditional expressions.

Operands are evaluated from the left, once, and each sees what those before it did.
"""

from __future__ import annotations

import ast

from compiler import typesystem as t
from compiler.facts import DONE
from compiler.lowering import Lowering
from compiler.typesystem import Value

ARITHMETIC = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


Part = tuple[list[tuple[str, tuple[str, int]]], Value]


class Operators(Lowering):
    def pair(self, node: ast.AST, left: ast.expr, right: ast.expr, want: t.Type | None) -> tuple[Value, Value]:
        """Two operands, evaluated in order."""
        first = self.expression(left, want)
        (a,), b = self.then(
            [first], lambda: self.expression(right, want if first.type in (t.LITERAL, t.NULL) else first.type)
        )
        return a, b

    def x_BinOp(self, node: ast.BinOp, want: t.Type | None) -> Value:
        hint = want if isinstance(want, (t.Int, t.Kind, t.EnumType)) else None
        if isinstance(node.op, (ast.LShift, ast.RShift)):
            return self.shift(node, hint)
        if isinstance(node.op, ast.Div):
            raise self.refuse(node, "`/` gives a float: write `//`")
        if isinstance(node.op, ast.Pow):
            raise self.refuse(node, "`**` is not in the language: shift or multiply")
        if isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Constant) and node.right.value is None:
            raise self.refuse(node, "a type is not a value: write it in an annotation")
        a, b = self.pair(node, node.left, node.right, hint)
        if isinstance(a.type, t.Pointer) and isinstance(node.op, (ast.Add, ast.Sub)):
            self.unit.use_type(a.type)
            return Value(
                f"({a.text} {ARITHMETIC[type(node.op)]} {self.coerce_integer(b, node).text})",
                a.type,
                cost=max(a.cost, b.cost),
            )
        if (
            isinstance(a.type, t.EnumType)
            and a.type.flags
            and a.type is b.type
            and isinstance(node.op, (ast.BitOr, ast.BitAnd, ast.BitXor))
        ):
            if a.const is not None and b.const is not None:
                return self.constant(a.type, arithmetic(node.op, a.const, b.const))
            return Value(
                f"<{a.type.c}>({a.text} {ARITHMETIC[type(node.op)]} {b.text})", a.type, cost=max(a.cost, b.cost)
            )
        kind = self.common_type(a, b, node)
        if a.const is not None and b.const is not None:
            if isinstance(node.op, (ast.FloorDiv, ast.Mod)) and b.const == 0:
                raise self.refuse(node, "division by zero: test the divisor first")
            n = arithmetic(node.op, a.const, b.const)
            if kind is t.LITERAL:
                return Value(str(n), t.LITERAL, const=n)
            assert isinstance(kind, t.Int)
            if kind.signed and not kind.low <= n <= kind.high:
                raise self.refuse(node, f"{n} does not fit {kind.key}: use a wider type")
            return self.constant(kind, n & kind.high if not kind.signed else n)
        assert isinstance(kind, t.Int)
        a, b = self.coerce(a, kind, node), self.coerce(b, kind, node)
        sign = ARITHMETIC[type(node.op)]
        cost = max(a.cost, b.cost)
        if kind.bits >= 32:
            return Value(f"<{kind.c}>({a.text} {sign} {b.text})", kind, cost=cost)
        if not kind.signed:
            return Value(f"<{kind.c}>(<u32>{a.text} {sign} <u32>{b.text})", kind, cost=cost)
        checked = self.narrowing_call(t.I32, kind)
        return Value(f"{checked}(<i32>{a.text} {sign} <i32>{b.text})", kind, cost=cost)

    def common_type(self, a: Value, b: Value, node: ast.AST) -> t.Type:
        """The type in which two operands meet."""
        for value in (a, b):
            if not t.is_integer(value.type):
                hint = ": convert it first"
                if isinstance(value.type, t.EnumType) and value.node:
                    hint = f": write {value.type.base.key}({ast.unparse(value.node)})"
                elif isinstance(value.type, t.BitsType):
                    hint = ": use its .raw"
                raise self.refuse(node, f"{value.type.shown} is no integer here{hint}")
        if a.type is t.LITERAL and b.type is t.LITERAL:
            return t.LITERAL
        if isinstance(a.type, t.Kind) and isinstance(b.type, t.Kind) and a.type is not b.type:
            raise self.refuse(
                node, f"{a.type.shown} and {b.type.shown} do not mix: convert one, for example {a.type.shown}(…)"
            )
        left, right = t.base_of(a.type), t.base_of(b.type)
        if left is t.LITERAL:
            return right
        if right is t.LITERAL or left is right:
            return left
        raise self.refuse(
            node,
            f"{a.type.shown} and {b.type.shown} in one operation: "
            f"convert one, for example {left.key}(…) or truncate({right.key}, …)",
        )

    def shift(self, node: ast.BinOp, hint: t.Type | None) -> Value:
        a, b = self.pair(node, node.left, node.right, hint)
        left = isinstance(node.op, ast.LShift)
        if a.type is t.LITERAL and b.const is not None:
            n = a.const << b.const if left else a.const >> b.const
            return Value(str(n), t.LITERAL, const=n)
        if a.type is t.LITERAL:
            if hint is None:
                raise self.refuse(
                    node, f"`{ast.unparse(node.left)} <<` needs a width: write u64({ast.unparse(node.left)})"
                )
            a = self.coerce(a, hint, node)
        kind = t.base_of(a.type)
        if not isinstance(kind, t.Int):
            raise self.refuse(node, f"{a.type.shown} cannot be shifted: integers can")
        b = self.coerce_integer(b, node)
        if b.const is not None and not 0 <= b.const < kind.bits:
            raise self.refuse(node, f"a shift by {b.const} of {kind.key}: it has {kind.bits} bits")
        if a.const is not None and b.const is not None:
            n = a.const << b.const if left else a.const >> b.const
            return self.constant(kind, n & kind.high if not kind.signed else n)
        cost = max(a.cost, b.cost)
        sign = "<<" if left else ">>"
        if kind.bits < 32 or (kind.signed and left):
            name = f"cx_sh{'l' if left else 'r'}_{kind.key}"
            self.unit.helper(name, f"{kind.key} {name}({kind.key}, u64)")
            return Value(f"{name}({a.text}, {b.text})", kind, cost=cost)
        return Value(f"<{kind.c}>({a.text} {sign} {b.text})", kind, cost=cost)

    def coerce_integer(self, value: Value, node: ast.AST) -> Value:
        """Any integer: a count or an index."""
        if not t.is_integer(value.type):
            raise self.refuse(node, f"{value.type.shown} counts nothing: an integer is wanted here")
        if value.type is t.LITERAL and value.const < 0:
            raise self.refuse(node, f"{value.const}: a count or an index is not negative")
        return value

    def x_UnaryOp(self, node: ast.UnaryOp, want: t.Type | None) -> Value:
        if isinstance(node.op, ast.Not):
            value = self.coerce(self.expression(node.operand, t.BOOL), t.BOOL, node)
            if value.const is not None:
                return Value("0" if value.const else "1", t.BOOL, const=not value.const)
            return Value(f"(not {value.text})", t.BOOL, cost=value.cost)
        value = self.expression(node.operand, want)
        if isinstance(node.op, ast.UAdd):
            raise self.refuse(node, "unary plus says nothing: leave it out")
        invert = isinstance(node.op, ast.Invert)
        if isinstance(value.type, t.EnumType) and value.type.flags and invert:
            all_members = 0
            for n in value.type.members.values():
                all_members |= n
            if value.const is not None:
                return self.constant(value.type, all_members & ~value.const)
            return Value(
                f"<{value.type.c}>(~{value.text} & {self.number(all_members, value.type)})", value.type, cost=value.cost
            )
        kind = t.base_of(value.type)
        if kind is t.LITERAL:
            n = ~value.const if invert else -value.const
            base = t.base_of(want) if want is not None else None
            if n < 0 and invert and isinstance(base, t.Int) and not base.signed:
                return self.constant(base, n & base.high)
            return Value(str(n), t.LITERAL, const=n)
        if not isinstance(kind, t.Int):
            raise self.refuse(node, f"{value.type.shown} has no `{'~' if invert else '-'}`: integers have")
        if not invert and not kind.signed:
            raise self.refuse(node, f"minus of {kind.key}: convert to a signed type first, or subtract from 0")
        if value.const is not None:
            n = ~value.const if invert else -value.const
            return self.constant(kind, n if kind.signed else n & kind.high)
        if kind.bits < 32 and kind.signed and not invert:
            return Value(f"{self.narrowing_call(t.I32, kind)}(-<i32>{value.text})", kind, cost=value.cost)
        return Value(f"<{kind.c}>({'~' if invert else '-'}{value.text})", kind, cost=value.cost)

    def x_BoolOp(self, node: ast.BoolOp, want: t.Type | None) -> Value:
        conjunction = isinstance(node.op, ast.And)
        saved = set(self.known)
        parts: list[Part] = []
        for operand in node.values:
            start = len(self.lines)
            value = self.coerce(self.expression(operand, t.BOOL), t.BOOL, operand)
            lines = self.lines[start:]
            del self.lines[start:]
            decided = value.const is not None and bool(value.const) is not conjunction
            if decided and not parts:
                self.known = saved
                return value
            if value.const is None or decided:
                parts.append((lines, value))
            if decided:
                break
            if operand is node.values[0]:
                saved |= {fact for fact in self.known if fact[1] == DONE}
            yes, no = self.narrowings(operand)
            self.narrow(yes if conjunction else no)
        self.known = saved
        return self.joined(parts, conjunction)

    def joined(self, parts: list[Part], conjunction: bool) -> Value:
        """Truth values, each with the statements it needs first, which run only when those before it let them."""
        if not parts:
            return self.truth(conjunction)
        self.lines += parts[0][0]
        word = "and" if conjunction else "or"
        if not any(lines for lines, _ in parts[1:]):
            if len(parts) == 1:
                return parts[0][1]
            return Value(
                "(" + f" {word} ".join(f"({v.text})" for _, v in parts) + ")",
                t.BOOL,
                cost=max(v.cost for _, v in parts),
            )
        result = self.temporary(t.BOOL)
        self.emit(f"{result} = {parts[0][1].text}")
        for extra, (lines, value) in enumerate(parts[1:], start=1):
            self.emit(f"if {'' if conjunction else 'not '}{result}:")
            self.depth += 1
            self.lines += [("    " * extra + text, position) for text, position in lines]
            self.emit(f"{result} = {value.text}")
        self.depth -= len(parts) - 1
        return Value(result, t.BOOL)

    def x_IfExp(self, node: ast.IfExp, want: t.Type | None) -> Value:
        condition = self.coerce(self.expression(node.test, t.BOOL), t.BOOL, node)
        yes, no = self.narrowings(node.test)
        if condition.const is not None:
            return self.expression(node.body if condition.const else node.orelse, want)
        saved = set(self.known)
        start = len(self.lines)
        self.narrow(yes)
        self.depth += 1
        a = self.expression(node.body, want)
        a_lines = self.lines[start:]
        del self.lines[start:]
        after_a = self.known
        self.known = set(saved)
        self.narrow(no)
        b = self.expression(
            node.orelse, want if want is not None else a.type if a.type not in (t.LITERAL, t.NULL) else None
        )
        b_lines = self.lines[start:]
        del self.lines[start:]
        self.known = saved | {fact for fact in after_a & self.known if fact[1] == DONE}
        self.depth -= 1
        kind = self.joined_type(a, b, want, node)
        result = self.temporary(kind)
        with self.block(f"if {condition.text}:"):
            self.lines += a_lines
            self.emit(f"{result} = {self.coerce(a, kind, node).text}")
        with self.block("else:"):
            self.lines += b_lines
            self.emit(f"{result} = {self.coerce(b, kind, node).text}")
        return Value(result, kind, origin=self.origin_of(a) | self.origin_of(b))

    def joined_type(self, a: Value, b: Value, want: t.Type | None, node: ast.AST) -> t.Type:
        kinds = [v.type for v in (a, b) if v.type is not t.LITERAL]
        if not kinds:
            if want is None or want is t.LITERAL:
                raise self.refuse(node, "these literals need a width: annotate the target, or write u32(…)")
            return want
        if isinstance(want, t.Nullable):
            return want
        if t.NULL in kinds:
            other = [k for k in kinds if k is not t.NULL]
            if not other:
                raise self.refuse(node, "None on both sides of a conditional expression: say which reference it may be")
            return other[0] if isinstance(other[0], t.Nullable) else t.intern(t.Nullable(other[0]))
        for k in kinds:
            if isinstance(k, t.Nullable):
                return k
        if want is not None and len(kinds) == 2 and kinds[0] is not kinds[1]:
            return want
        return kinds[0]

    def x_Compare(self, node: ast.Compare, want: t.Type | None) -> Value:
        if len(node.ops) == 1:
            return self.compare(node, node.left, node.ops[0], node.comparators[0])
        parts: list[Part] = []
        start = len(self.lines)
        left = self.spill(self.expression(node.left, None))
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if type(op) not in COMPARISONS:
                raise self.refuse(node, "only orderings can be chained: join others with `and`")
            right = self.spill(self.expression(right_node, left.type if left.type is not t.LITERAL else None))
            value = self.ordering(node, left, op, right)
            parts.append((self.lines[start:], value))
            del self.lines[start:]
            left = right
        return self.joined(parts, True)

    def compare(self, node: ast.AST, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Value:
        if isinstance(op, (ast.Is, ast.IsNot)):
            return self.identity(node, left, op, right)
        if isinstance(op, (ast.In, ast.NotIn)):
            return self.membership(node, left, op, right)
        a, b = self.pair(node, left, right, None)
        return self.ordering(node, a, op, b)

    def ordering(self, node: ast.AST, a: Value, op: ast.cmpop, b: Value) -> Value:
        sign = COMPARISONS[type(op)]
        cost = max(a.cost, b.cost)
        equality = isinstance(op, (ast.Eq, ast.NotEq))
        if t.STR in (a.type, b.type) or t.CHAR in (a.type, b.type):
            return self.compare_text(node, a, op, b)
        for x, y in ((a, b), (b, a)):
            if isinstance(x.type, (t.EnumType, t.BitsType)) or x.type is t.BOOL:
                if x.type is not y.type:
                    raise self.refuse(node, f"{a.type.shown} is compared with {b.type.shown}: convert one")
                if not equality:
                    raise self.refuse(
                        node, f"{x.type.shown} has no order: compare with == or !=, or convert to an integer"
                    )
                if a.const is not None and b.const is not None:
                    return self.truth(compare_numbers(op, a.const, b.const))
                return Value(f"({a.text} {sign} {b.text})", t.BOOL, cost=cost)
        if not t.is_integer(a.type) or not t.is_integer(b.type):
            way = (
                "references have no value to compare: write `is`"
                if isinstance(a.type, (t.ClassType, t.Nullable, t.ProtocolType))
                else f"{a.type.shown} and {b.type.shown} cannot be compared: convert one"
            )
            raise self.refuse(node, way)
        kind = self.common_type(a, b, node)
        if a.const is not None and b.const is not None:
            return self.truth(compare_numbers(op, a.const, b.const))
        a, b = self.coerce(a, kind, node), self.coerce(b, kind, node)
        return Value(f"({a.text} {sign} {b.text})", t.BOOL, cost=cost)

    def truth(self, value: bool) -> Value:
        return Value("1" if value else "0", t.BOOL, const=value)

    def identity(self, node: ast.AST, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Value:
        a, b = self.pair(node, left, right, None)
        sign = "==" if isinstance(op, ast.Is) else "!="
        if t.ERRNO in (a.type, b.type) and a.type is b.type:
            return Value(f"({a.text} {sign} {b.text})", t.BOOL, cost=max(a.cost, b.cost))
        texts = []
        for value in (a, b):
            inner = value.type.of if isinstance(value.type, t.Nullable) else value.type
            if value.type is t.NULL:
                texts.append("NULL")
            elif isinstance(inner, t.ProtocolType):
                self.unit.use_interface(inner)
                texts.append(f"{self.spill(value).text}.object")
            elif isinstance(inner, (t.ClassType, t.Function, t.Pointer)) and not (
                isinstance(inner, t.ClassType) and inner.by_value
            ):
                texts.append(f"<void*>{self.reference(value, node).text}")
            else:
                raise self.refuse(node, f"`is` compares references; {value.type.shown} compares with `==`")
        return Value(f"({texts[0]} {sign} {texts[1]})", t.BOOL, cost=max(a.cost, b.cost))

    def membership(self, node: ast.AST, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Value:
        wanted = isinstance(op, ast.In)
        if isinstance(right, (ast.Tuple, ast.List, ast.Set)):
            a = self.spill(self.expression(left, None))
            others = [self.spill(self.expression(e, a.type)) for e in right.elts]
            parts = [self.ordering(node, a, ast.Eq(), e) for e in others]
            if all(p.const is not None for p in parts):
                return self.truth(any(p.const for p in parts) is wanted)
            text = "(" + " or ".join(p.text for p in parts) + ")"
            return Value(text if wanted else f"(not {text})", t.BOOL, cost=1)
        a, b = self.pair(node, left, right, None)
        if isinstance(b.type, t.EnumType) and b.type.flags:
            a, b = self.spill(self.coerce(a, b.type, node)), self.spill(b)
            return Value(f"(({b.text} & {a.text}) {'==' if wanted else '!='} {a.text})", t.BOOL, cost=1)
        if isinstance(b.type, t.ClassType):
            method = b.type.instance.method("__contains__")
            if method is not None:
                a = self.coerce(a, method.parameters[0].type, node)
                found = self.invoke(method, self.reference(b, node), [a], node)
                return Value(found.text if wanted else f"(not {found.text})", t.BOOL, cost=2)
        raise self.refuse(
            node, f"`in` takes alternatives in parentheses, flags, or a class with `__contains__`, not {b.type.shown}"
        )


def arithmetic(op: ast.operator, a: int, b: int) -> int:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case ast.FloorDiv():
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        case ast.Mod():
            return a - b * (abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
        case ast.BitAnd():
            return a & b
        case ast.BitOr():
            return a | b
    return a ^ b


def compare_numbers(op: ast.cmpop, a: int, b: int) -> bool:
    match op:
        case ast.Eq():
            return a == b
        case ast.NotEq():
            return a != b
        case ast.Lt():
            return a < b
        case ast.LtE():
            return a <= b
        case ast.Gt():
            return a > b
    return a >= b
