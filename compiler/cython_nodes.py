"""Statements and expressions of Cython's tree that generate plain structured C.

Cython's own nodes keep a reference count, an exception or a lock of the interpreter in mind: they leave functions
and loops through labels and put every condition into a temporary. Here none of these exists, so C statements stand
where the Python statements stood, and operands that need no statement of their own stay expressions. `OwnNodes` is
Cython's first pass over the tree and puts these classes in.
"""

from typing import Any

from Cython.Compiler import Errors, ExprNodes, Nodes, PyrexTypes
from Cython.Compiler.ParseTreeTransforms import PostParse
from Cython.Utils import str_to_number


def is_pure(node: Any) -> bool:
    """Whether the C of an analysed expression is an expression only, so that it may stand behind `&&` or `?`."""
    if node.is_temp:
        return False
    # A comparison keeps its operands apart; one with more than two of them is a temporary.
    comparison = isinstance(node, ExprNodes.PrimaryCmpNode)
    return all(map(is_pure, (node.operand1, node.operand2) if comparison else node.subexpr_nodes()))


def bare(condition: Any) -> Any:
    """An analysed condition without the temporary that Cython keeps it in."""
    return condition.arg if isinstance(condition, ExprNodes.CoerceToTempNode) else condition


class Int(ExprNodes.IntNode):
    """A literal in the base it was written in, always a C integer: int, long long or unsigned long long."""

    def find_suitable_type_for_value(self) -> Any:
        number = str_to_number(self.value)
        if "L" not in self.longness and number < 2**31:
            return PyrexTypes.c_uint_type if self.unsigned else PyrexTypes.c_int_type
        return PyrexTypes.c_ulonglong_type if self.unsigned or number >= 2**63 else PyrexTypes.c_longlong_type

    def coerce_to(self, dst_type: Any, env: Any) -> Any:
        return own_literal(super().coerce_to(dst_type, env))

    def coerce_to_boolean(self, env: Any) -> Any:
        return own_literal(super().coerce_to_boolean(env))

    def get_constant_c_result_code(self) -> str:
        number = str_to_number(self.value)
        if number == -(2**63):
            return "(-9223372036854775807LL - 1)"  # C has no negative literals, and 2**63 is not a signed one
        size = abs(number)
        suffix = self.unsigned + self.longness or ("" if size < 2**31 else "LL" if size < 2**63 else "ULL")
        digits = str(size) if size == 0 or self.value.lstrip("-")[0] != "0" else hex(size)
        return f"(-{digits}{suffix})" if number < 0 else digits + suffix


def own_literal(node: Any) -> Any:
    if type(node) is ExprNodes.IntNode:
        node.__class__ = Int
    return node


class Target(ExprNodes.NameNode):
    """An assigned name: always one that is declared, in the function or for the module, without `global`."""

    def analyse_target_declaration(self, env: Any) -> None:
        self.is_target = True
        self.entry = env.lookup(self.name)
        if self.entry is None or self.entry.scope.is_builtin_scope:
            Errors.error(self.pos, f"'{self.name}' is assigned and has no declaration: it needs a cdef")
            self.entry = env.declare_var(self.name, PyrexTypes.error_type, self.pos)


class Bool(ExprNodes.BoolBinopNode):
    """`and`, `or` of truth values: the result is 0 or 1, as in C, and not one of the operands."""

    def analyse_types(self, env: Any) -> Any:
        self.operand1 = self.operand1.analyse_types(env).coerce_to_boolean(env)
        self.operand2 = self.operand2.analyse_types(env).coerce_to_boolean(env)
        self.type = PyrexTypes.c_bint_type
        self.is_temp = not is_pure(self.operand2)
        return self

    def coerce_to_boolean(self, env: Any) -> Any:
        return self

    def coerce_to(self, dst_type: Any, env: Any) -> Any:
        return ExprNodes.ExprNode.coerce_to(self, dst_type, env)

    def calculate_result_code(self) -> str:
        operator = "&&" if self.operator == "and" else "||"
        return f"({self.operand1.result()} {operator} {self.operand2.result()})"

    def generate_evaluation_code(self, code: Any) -> None:
        if not self.is_temp:
            self.operand1.generate_evaluation_code(code)
            self.operand2.generate_evaluation_code(code)
            return
        self.allocate_temp_result(code)
        self._put_operand(self.operand1, code)
        code.putln(f"if ({'' if self.operator == 'and' else '!'}{self.result()}) {{")
        self._put_operand(self.operand2, code)
        code.putln("}")

    def _put_operand(self, operand: Any, code: Any) -> None:
        operand.generate_evaluation_code(code)
        code.putln(f"{self.result()} = {operand.result()};")
        operand.generate_disposal_code(code)
        operand.free_temps(code)

    def free_subexpr_temps(self, code: Any) -> None:
        if not self.is_temp:
            self.operand1.free_temps(code)
            self.operand2.free_temps(code)


class Conditional(ExprNodes.CondExprNode):
    """`a if c else b`."""

    def analyse_types(self, env: Any) -> Any:
        self.condition = bare(self.condition.analyse_temp_boolean_expression(env))
        self.true_val = self.true_val.analyse_types(env)
        self.false_val = self.false_val.analyse_types(env)
        return self.analyse_result_type(env)

    def analyse_result_type(self, env: Any) -> Any:
        one, other = self.true_val.type, self.false_val.type
        span = PyrexTypes.widest_numeric_type if one.is_int and other.is_int else PyrexTypes.independent_spanning_type
        self.type = one if one == other else span(one, other)
        if self.type.is_error:
            self.type_error()
        self.is_temp = not (is_pure(self.true_val) and is_pure(self.false_val))
        return self

    def calculate_result_code(self) -> str:
        values = [value.result() for value in (self.true_val, self.false_val)]
        if self.type.is_int and not (self.true_val.type is self.type is self.false_val.type):
            values = [self.type.cast_code(value) for value in values]
        return f"({self.condition.result()} ? {values[0]} : {values[1]})"

    def generate_evaluation_code(self, code: Any) -> None:
        if self.is_temp:
            super().generate_evaluation_code(code)
        else:
            self.generate_subexpr_evaluation_code(code)

    def free_subexpr_temps(self, code: Any) -> None:
        if not self.is_temp:
            self.condition.free_temps(code)


class If(Nodes.IfStatNode):
    """`else if` where the condition is an expression, else a nested `if` behind the condition's statements."""

    def generate_execution_code(self, code: Any) -> None:
        nested = 0
        for index, clause in enumerate(self.if_clauses):
            condition = bare(clause.condition)
            code.mark_pos(clause.pos)
            opening = "if"
            if index and is_pure(condition):
                opening = "} else if"
            elif index:
                code.putln("} else {")
                nested += 1
            condition.generate_evaluation_code(code)
            code.putln(f"{opening} ({condition.result()}) {{")
            condition.generate_disposal_code(code)
            condition.free_temps(code)
            clause.body.generate_execution_code(code)
        if self.else_clause:
            code.putln("} else {")
            self.else_clause.generate_execution_code(code)
        for _ in range(nested + 1):
            code.putln("}")


class While(Nodes.WhileStatNode):
    """`while (condition)`, or a test inside where the condition needs statements."""

    def generate_execution_code(self, code: Any) -> None:
        code.mark_pos(self.pos)
        condition = bare(self.condition)
        if is_pure(condition):
            condition.generate_evaluation_code(code)
            code.putln(f"while ({condition.result()}) {{")
        else:
            code.putln("while (1) {")
            condition.generate_evaluation_code(code)
            code.putln(f"if (!{condition.result()}) break;")
        condition.generate_disposal_code(code)
        condition.free_temps(code)
        self.body.generate_execution_code(code)
        code.putln("}")


class Break(Nodes.BreakStatNode):
    def generate_execution_code(self, code: Any) -> None:
        code.mark_pos(self.pos)
        code.putln("break;")


class Continue(Nodes.ContinueStatNode):
    def generate_execution_code(self, code: Any) -> None:
        code.mark_pos(self.pos)
        code.putln("continue;")


class Return(Nodes.ReturnStatNode):
    """`return` where it stands: nothing has to be released on the way out."""

    def generate_execution_code(self, code: Any) -> None:
        code.mark_pos(self.pos)
        if self.value is None:
            code.putln("return;")
            return
        self.value.generate_evaluation_code(code)
        code.putln(f"return {self.value.result_as(self.return_type)};")
        self.value.free_temps(code)


_OWN = {
    ExprNodes.BoolBinopNode: Bool,
    ExprNodes.CondExprNode: Conditional,
    Nodes.IfStatNode: If,
    Nodes.WhileStatNode: While,
    Nodes.BreakStatNode: Break,
    Nodes.ContinueStatNode: Continue,
    Nodes.ReturnStatNode: Return,
}


class OwnNodes(PostParse):
    """Cython's first pass, which puts the classes of this module into the tree."""

    def _visit_own(self, node: Any) -> Any:
        node.__class__ = _OWN[type(node)]
        self.visitchildren(node)
        return node

    visit_BoolBinopNode = visit_CondExprNode = visit_IfStatNode = _visit_own
    visit_BreakStatNode = visit_ContinueStatNode = visit_ReturnStatNode = _visit_own

    def visit_WhileStatNode(self, node: Any) -> Any:
        if node.else_clause:
            Errors.error(node.pos, "a 'while' cannot have an 'else'")
        return self._visit_own(node)

    def _visit_refused(self, node: Any) -> Any:
        Errors.error(node.pos, "try, with and for must be lowered to if, while and CX_GOTO before this point")
        return node

    visit_TryFinallyStatNode = visit_TryExceptStatNode = visit_WithStatNode = visit_ForInStatNode = _visit_refused

    def visit_IntNode(self, node: Any) -> Any:
        own_literal(node).type = own_literal(node).find_suitable_type_for_value()
        return node

    def visit_SingleAssignmentNode(self, node: Any) -> Any:
        _own_target(node)
        return super().visit_SingleAssignmentNode(node)

    def visit_InPlaceAssignmentNode(self, node: Any) -> Any:
        _own_target(node)
        self.visitchildren(node)
        return node


def _own_target(node: Any) -> None:
    if type(node.lhs) is ExprNodes.NameNode:
        node.lhs.__class__ = Target
