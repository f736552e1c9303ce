"""Compiling a whole program: every module's classes and functions are typed and lowered.

What spans modules is collected: module-level variables, registries, interfaces and who implements them, per-CPU data,
extensions, and the graph of calls, from which recursion is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from compiler import escape
from compiler import typesystem as t
from compiler.assignments import Assignments
from compiler.calls import Calls
from compiler.declare import Declarations
from compiler.expressions import Expressions
from compiler.facts import SET
from compiler.globals import Globals
from compiler.instances import ClassInstance, Environment, FunctionInstance
from compiler.loops import Loops
from compiler.lowering import Local
from compiler.operators import Operators
from compiler.program import ClassDeclaration, FunctionDeclaration, Module, Program
from compiler.statements import Statements
from compiler.typesystem import Constant
from compiler.unit import Unit
from compiler.words import Words

PANIC_MODULE = "hv.common.kernel.panic"


class FunctionLowering(Expressions, Operators, Calls, Words, Loops, Assignments, Statements):
    """Lowers one function."""

    def run(self) -> None:
        function = self.function
        self.unit.use_types_of(function)
        if not function.static:
            assert function.owner is not None
            own = escape.parameter(0)
            me = (
                Local("self[0]", function.owner.type, place=True, frozen=True, origin=escape.inside(own), home=own)
                if function.owner.info.by_value
                else Local("self", function.owner.type, frozen=True, origin=own)
            )
            self.scope.names["self"] = me
        names = [name for _, name in self.c_arguments][0 if function.static else 1 :]
        for index, (parameter, c) in enumerate(zip(function.parameters, names, strict=True)):
            self.scope.names[parameter.name] = Local(c, parameter.type)
            self.flow.assign(c, escape.parameter(index + (not function.static)))
        self.known |= {(self.scope.number, SET, name) for name in self.scope.names}
        exits = self.lower_block(function.node.body)
        self.at(function.node)
        if not exits:
            self.check_all_done(function.node.body[-1], "left")
            if function.result is t.VOID:
                if function.raises:
                    self.emit("return 0")
            elif function.result is t.NEVER:
                self.unit.helper("cx_trap", "void cx_trap()")
                self.emit("cx_trap()")
                if function.raises:
                    self.emit("return 0")
            else:
                raise self.refuse(
                    function.node,
                    f"`{function.node.name}` may end without its {function.result.shown}: return one on every way",
                )
        arguments = ", ".join(f"{c} {name}" for c, name in self.c_arguments)
        opening = (function.module.shown, function.node.lineno)
        out = self.unit.lines
        out.append((f"cdef {function.return_c} {function.c}({arguments}) noexcept nogil:", opening))
        out += [(f"    cdef {text}", opening) for text in self.locals.values()]
        out += self.lines
        if not self.lines and not self.locals:
            out.append(("    pass", opening))
        elif not self.lines:
            out.append(("    return", opening))
        self.unit.defined.append(function)
        function.flow = self.flow


class Compiler:
    def __init__(self, program: Program) -> None:
        t.reset()
        self.program = program
        self.declarations = Declarations(program)
        self.declarations.constant_of = self.constant_of
        self.globals = Globals(self)
        self.units: dict[str, Unit] = {}
        self.function_types: dict[str, t.Function] = {}
        self.results: dict[str, t.Type] = {}
        self.conversions: dict[str, tuple[ClassInstance, ClassInstance, bool]] = {}
        self.tuples: dict[str, t.Tuple] = {}
        self.casts: dict[str, tuple[ClassInstance, ClassInstance]] = {}
        self.named_enums: dict[str, t.EnumType] = {}
        self.checked_enums: dict[str, t.EnumType] = {}
        self.registers: dict[str, int] = {}
        self.linker_symbols: set[str] = set()
        self.lowered: dict[str, FunctionInstance] = {}
        self.wanted: list[FunctionInstance] = []
        self.policy: FunctionInstance | None = None
        self.address_taken: dict[t.Type, set[FunctionInstance]] = {}
        self.per_cpu_classes: list[ClassInstance] = []
        self._extensions: dict[str, list[ClassInstance]] = {}
        self._implementations: dict[str, list[ClassInstance]] = {}
        self._implemented_by_generics: set[str] = set()

    # The run

    def compile(self) -> None:
        classes = self.describe_classes()
        for instance in classes:
            for interface in instance.protocols:
                self.check_implementation(interface, instance)
        self.globals.collect_registries()
        self.find_policy()
        for module in self.program.ordered:
            for declaration in module.declarations:
                if isinstance(declaration, FunctionDeclaration) and not self.is_generic_function(declaration):
                    self.want(self.declarations.function(declaration))
                elif not isinstance(declaration, (FunctionDeclaration, ClassDeclaration)):
                    self.globals.check(declaration)  # type: ignore[arg-type]
        for instance in classes:
            self.want_methods(instance)
        self.drain()
        self.globals.finish()
        self.drain()
        for _, (interface, instance) in sorted(self.casts.items()):
            self.check_implementation(interface, instance)
        escape.refuse_escapes(self, self.refuse_recursion())
        for name in self.program.target.substitutes:
            self.check_contract(name)

    def check_contract(self, name: str) -> None:
        """The module that stands for hv.arch has every function of the contract, with its signature."""
        substitute = self.program.modules.get(self.program.target.substitutes[name])
        contract = self.program.contract(name) if substitute is not None else None
        if substitute is None or contract is None:
            return
        for wanted in contract.declarations:
            found = self.program.look_up(substitute, wanted.name)
            if found is None or not isinstance(found, type(wanted)):
                raise substitute.refuse(1, f"`{wanted.name}` of {contract.shown}:{wanted.node.lineno} is missing")
            if isinstance(wanted, FunctionDeclaration):
                a, b = self.declarations.function(wanted), self.declarations.function(found)
                if (
                    [p.type for p in a.parameters] != [p.type for p in b.parameters]
                    or a.result is not b.result
                    or a.raises != b.raises
                ):
                    raise b.module.refuse(
                        b.node, f"`{wanted.name}` has another signature than {contract.shown}:{wanted.node.lineno}"
                    )

    def drain(self) -> None:
        while self.wanted or self.declarations.new_instances:
            while self.declarations.new_instances:
                self.want_methods(self.declarations.new_instances.pop())
            if self.wanted:
                self.lower(self.wanted.pop(0))

    def describe_classes(self) -> list[ClassInstance]:
        found = []
        for module in self.program.ordered:
            for declaration in module.declarations:
                if not isinstance(declaration, ClassDeclaration) or self.declarations.enum_of(declaration) is not None:
                    continue
                info = self.declarations.info(declaration)
                if info.parameters:
                    self._implemented_by_generics |= {self.declarations.instance(p, ()).key for p in info.protocols}
                    continue
                instance = self.declarations.instance(info, ())
                found.append(instance)
                if info.per_cpu:
                    self.per_cpu_classes.append(instance)
                if info.extends is not None:
                    self._extensions.setdefault(self.extended(instance).key, []).append(instance)
                for protocol in info.protocols:
                    self._implementations.setdefault(self.declarations.instance(protocol, ()).key, []).append(instance)
        return found

    def want_methods(self, instance: ClassInstance) -> None:
        self.declarations.check_storage(instance)  # types every field
        if instance.info.shape == "protocol":
            for name in instance.info.methods:
                instance.method(name)
            return
        for name in instance.info.methods:
            method = instance.method(name)
            if method is not None and method.element is None:
                self.want(method)

    def is_generic_function(self, declaration: FunctionDeclaration) -> bool:
        names = {
            n.id
            for a in declaration.node.args.args
            if a.annotation is not None
            for n in ast.walk(a.annotation)
            if isinstance(n, ast.Name)
        }
        return any(
            self.declarations.type_variable(self.program.look_up(declaration.module, n)) is not False for n in names
        )

    def want(self, function: FunctionInstance) -> None:
        known = self.lowered.get(function.c)
        if known is None or known.is_defined_by(function):
            self.lowered[function.c] = function
            self.wanted.append(function)
        elif known is not function and not function.is_defined_by(known):
            other = self.lowered[function.c].qualified
            raise function.module.refuse(
                function.node,
                f"`{function.qualified}` and `{other}` are both `{function.c}` in C: rename one",
            )

    def unit(self, module: Module) -> Unit:
        found = self.units.get(module.name)
        if found is None:
            found = self.units[module.name] = Unit(self, module)
        return found

    def lower(self, function: FunctionInstance) -> None:
        unit = self.unit(function.module)
        if function.bodiless:
            unit.use_types_of(function)
            return
        if "test_only" in function.decorators and not self.program.target.hosted:
            return
        FunctionLowering(self, unit, function).run()

    def find_policy(self) -> None:
        """The function marked @preemption_policy, which preemptible loops ask between two rounds."""
        for module in self.program.ordered:
            for declaration in module.declarations:
                if not isinstance(declaration, FunctionDeclaration):
                    continue
                function = None if self.is_generic_function(declaration) else self.declarations.function(declaration)
                if function is None or "preemption_policy" not in function.decorators:
                    continue
                if self.policy is not None:
                    raise module.refuse(
                        declaration.node,
                        f"a program has one preemption policy, and `{self.policy.qualified}` is it: remove one",
                    )
                if function.parameters or function.result is not t.BOOL or function.raises:
                    raise module.refuse(
                        declaration.node, "a preemption policy has another signature: `() -> bool`, and it cannot raise"
                    )
                self.policy = function

    def preemption_policy(self, module: Module, node: ast.AST) -> FunctionInstance:
        if self.policy is None:
            raise module.refuse(
                node, "a preemptible loop asks whether to go on: mark one function of the program @preemption_policy"
            )
        return self.policy

    # Constants

    def constant_of(self, node: ast.expr, module: Module, env: Environment, want: t.Type | None = None) -> Any:
        """A constant expression's value; None for the constant None."""
        empty = ast.FunctionDef(
            name="constant",
            args=ast.arguments([], [], None, [], [], None, []),
            body=[],
            decorator_list=[],
            returns=None,
            lineno=getattr(node, "lineno", 1),
        )
        holder = FunctionInstance(module, empty, None, env, "constant")
        lowering = FunctionLowering(self, Unit(self, module), holder)
        lowering.position = (module.shown, getattr(node, "lineno", 1))
        value = lowering.expression(node, want)
        if value.type is t.NULL:
            return None
        if value.const is None:
            raise module.refuse(node, f"`{ast.unparse(node)}` is not a constant: declare it Final, of constants")
        if want is not None:
            value = lowering.coerce(value, want, node)
        return Constant(value.type, value.const)

    # Interfaces, extensions, enums

    def implementations(self, interface: ClassInstance) -> list[ClassInstance]:
        """Who is known to implement an interface; a generic's copies may still be added."""
        copies = [i for i in self.declarations.instances.values() if i.arguments and interface in i.protocols]
        return [*self._implementations.get(interface.key, []), *copies]

    def has_generic_implementations(self, interface: ClassInstance) -> bool:
        return interface.key in self._implemented_by_generics

    def check_implementation(self, interface: ClassInstance, instance: ClassInstance) -> None:
        for name in interface.info.methods:
            wanted, found = interface.method(name), instance.method(name)
            assert wanted is not None
            if found is None:
                raise instance.info.module.refuse(
                    instance.info.declaration.node,
                    f"{instance.shown} does not implement {interface.shown}.{name}: declare it",
                )
            if (
                [p.type for p in wanted.parameters] != [p.type for p in found.parameters]
                or wanted.result is not found.result
                or wanted.raises != found.raises
            ):
                raise found.module.refuse(
                    found.node,
                    f"{instance.shown}.{name} has another signature than {interface.shown}.{name}: give it the same",
                )

    def extended(self, extension: ClassInstance) -> ClassInstance:
        """The class that an extension is laid into."""
        assert extension.info.extends is not None
        kind = self.declarations.type_of(extension.info.extends, extension.info.module, {})
        if not isinstance(kind, t.ClassType) or not kind.instance.info.extensible:
            raise extension.info.module.refuse(
                extension.info.declaration.node, f"{kind.shown} is not @extensible: mark it"
            )
        return kind.instance

    def extensions(self, owner: ClassInstance) -> list[ClassInstance]:
        return self._extensions.get(owner.key, [])

    def enum_names(self, unit: Unit, kind: t.EnumType) -> str:
        self.named_enums[kind.key] = kind
        unit.helper(f"{kind.key}_name", f"text {kind.key}_name({kind.c})")
        return f"{kind.key}_name"

    def enum_check(self, unit: Unit, kind: t.EnumType) -> str:
        self.checked_enums[kind.key] = kind
        unit.helper(f"{kind.key}_checked", f"{kind.c} {kind.key}_checked({kind.c})")
        return f"{kind.key}_checked"

    def assertion_handler(self, lowering: Any) -> str:
        module = self.program.modules.get(PANIC_MODULE)
        found = module.scope.get("assertion_failed") if module is not None else None
        if isinstance(found, FunctionDeclaration):
            function = self.declarations.function(found)
            lowering.unit.use_function(function)
            return function.c
        lowering.unit.helper("cx_assertion_failed", "void cx_assertion_failed(text)")
        return "cx_assertion_failed"

    def embedding_order(self, names: Any) -> list[str]:
        """Structure names so that what is embedded stands before what embeds it."""
        by_name = {i.c: i for i in self.declarations.instances.values()}
        ordered: list[str] = []
        seen: set[str] = set()

        def visit(name: str) -> None:
            if name in seen:
                return
            seen.add(name)
            instance = by_name.get(name)
            if name == "per_cpu":
                for c in self.per_cpu_classes:
                    visit(c.c)
            elif instance is not None and instance.info.shape != "protocol":
                for kind in [*instance.fields.values(), *(e.type for e in self.extensions(instance))]:
                    for inner in embedded_structs(
                        kind, instance in [self.extended(e) for e in self.extensions(instance)]
                    ):
                        visit(inner)
                for extension in self.extensions(instance):
                    visit(extension.c)
            elif name.startswith("result_") and name in self.results:
                for inner in embedded_structs(self.results[name], False):
                    visit(inner)
            elif name in self.tuples:
                for inner in embedded_structs(self.tuples[name], False):
                    visit(inner)
            if name in names:
                ordered.append(name)

        for name in list(names):
            visit(name)
        return ordered

    # The graph of calls

    def note_call(self, caller: FunctionInstance, callee: FunctionInstance) -> None:
        if callee.result is not t.NEVER:
            caller.calls.add(callee)

    def note_value(self, kind: t.Type, function: FunctionInstance) -> None:
        self.address_taken.setdefault(kind, set()).add(function)

    def note_indirect_call(
        self, caller: FunctionInstance, kind: t.Type, registry: tuple[ClassInstance, str] | None = None
    ) -> None:
        if isinstance(kind, t.Function):
            caller.indirect.add(kind if registry is None else ("registry", *registry))

    def note_interface_call(self, caller: FunctionInstance, interface: ClassInstance, name: str) -> None:
        if interface.method(name) is not None:
            caller.indirect.add((interface, name))

    def callees(self, function: FunctionInstance) -> list[FunctionInstance]:
        """All that may be called and return."""
        found = dict.fromkeys(f for target in (*function.calls, *function.indirect) for f in self.targets(target))
        return [f for f in found if f.result is not t.NEVER]

    def function_values(self) -> set[FunctionInstance]:
        """Functions that something else than a call names: as values, in registries, in tables of interfaces."""
        found = set().union(*self.address_taken.values(), *self.globals.in_entries.values())
        for interface, instance in self.casts.values():
            found |= {m for m in map(instance.method, interface.info.methods) if m is not None}
        return found

    def targets(self, target: Any) -> list[FunctionInstance]:
        """The functions that a call may reach: of a function, a function type, a registry's field, or an interface."""
        if isinstance(target, FunctionInstance):
            found: Iterable[FunctionInstance] = (target,)
        elif isinstance(target, t.Type):
            found = self.address_taken.get(target, ())
        elif target[0] == "registry":
            found = self.globals.entry_functions(target[1], target[2])
        else:
            interface, name = target
            methods = (instance.method(name) for instance in self.implementations(interface))
            found = [method for method in methods if method is not None]
        return [self.lowered.get(f.c, f) for f in found]  # of a stub, the function that stands for it

    def refuse_recursion(self) -> list[FunctionInstance]:
        """Walks the call graph depth first; a call back into what is being walked is recursion. Callees come first."""
        done: dict[FunctionInstance, None] = {}
        for start in self.lowered.values():
            if start in done:
                continue
            stack: list[tuple[FunctionInstance, Any]] = [(start, iter(self.callees(start)))]
            active = {start: 0}
            while stack:
                function, rest = stack[-1]
                callee = next(rest, None)
                if callee is None:
                    stack.pop()
                    del active[function]
                    done[function] = None
                elif callee in active:
                    cycle = [f.qualified for f, _ in stack[active[callee] :]] + [callee.qualified]
                    raise callee.module.refuse(callee.node, f"recursion: {' -> '.join(cycle)}; write it as a loop")
                elif callee not in done:
                    active[callee] = len(stack)
                    stack.append((callee, iter(self.callees(callee))))
        return list(done)


def embedded_structs(kind: t.Type, _: bool) -> list[str]:
    """Structures that storage of the type contains."""
    match kind:
        case t.Array():
            return embedded_structs(kind.element, _)
        case t.Embedded():
            return [kind.of.instance.c]
        case t.ClassType() if kind.by_value:
            return [kind.instance.c]
        case t.ProtocolType():
            return [kind.instance.c]
        case t.Tuple():
            return [kind.c, *(inner for part in kind.parts for inner in embedded_structs(part, _))]
        case t.Nullable():
            return embedded_structs(kind.of, _)
    return []
