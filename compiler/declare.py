"""Declarations with their types: classes and their copies for generic arguments, and functions."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from compiler import typesystem as t
from compiler.abi import is_plain
from compiler.annotations import unquoted
from compiler.enums import Enums
from compiler.errors import CompileError
from compiler.instances import (
    ClassInfo,
    ClassInstance,
    Environment,
    FunctionInstance,
    Parameter,
    TypeParameter,
)
from compiler.program import (
    Builtin,
    ClassDeclaration,
    FunctionDeclaration,
    Module,
    Program,
    VariableDeclaration,
)

CLASS_DECORATORS = frozenset(
    "value guard embedded aligned extensible assembly_layout must_use packed union abi".split()
)
FUNCTION_DECORATORS = {
    "raises",
    "unbounded",
    "asm",
    "export",
    "extern",
    "property",
    "staticmethod",
    "rarely",
    "apart",
    "test_only",
    "preemption_policy",
}


class Declarations(Enums):
    """Gives each declaration its type, once."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.infos: dict[ClassDeclaration, ClassInfo] = {}
        self.instances: dict[str, ClassInstance] = {}
        self.functions: dict[str, FunctionInstance] = {}
        self.compat_infos: dict[str, ClassInfo] = {}
        self.new_instances: list[ClassInstance] = []

    # Classes

    def info(self, declaration: ClassDeclaration) -> ClassInfo:
        found = self.infos.get(declaration)
        if found is None:
            found = self.infos[declaration] = ClassInfo(declaration)
            self._describe(found)
        return found

    def _describe(self, info: ClassInfo) -> None:
        node, module = info.declaration.node, info.module
        for decorator in node.decorator_list:
            name = _decorator_name(decorator)
            if name == "aligned" and isinstance(decorator, ast.Call):
                info.alignment = decorator.args[0]
            elif name == "assembly_layout":
                self.need(module, "linkage", decorator, name)
                info.assembly = True
            elif name == "extensible":
                info.extensible = True
            elif name in ("must_use", "packed", "union"):
                setattr(info, name, True)
            elif name == "abi":
                info.abi = self._abi(decorator, module)
            elif name in ("value", "guard", "embedded"):
                info.shape = name
            elif not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
                known = ", ".join(sorted(CLASS_DECORATORS))
                raise module.refuse(decorator, f"unknown decorator `{ast.unparse(decorator)}`: a class takes {known}")
        for base in node.bases:
            self._describe_base(info, base)
        for item in node.body:
            match item:
                case ast.FunctionDef(name=name):
                    if name in info.methods:
                        raise module.refuse(item, f"method `{name}` is declared twice: rename one")
                    info.methods[name] = item
                case ast.AnnAssign(target=ast.Name(id=name), value=None):
                    info.fields[name] = item
                case ast.AnnAssign() | ast.Assign():
                    raise module.refuse(
                        item, "a field has no default: storage starts as zeros; set what is not in `init`"
                    )
                case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                    pass
                case _:
                    raise module.refuse(
                        item, f"{type(item).__name__} in a class: it holds annotated fields and methods"
                    )

    def _abi(self, decorator: ast.expr, module: Module) -> tuple[str, str]:
        match decorator:
            case ast.Call(args=[ast.Constant(value=str(header)), ast.Constant(value=str(name))], keywords=[]):
                return header, name
        raise module.refuse(decorator, 'write @abi("xen/argo.h", "xen_argo_ring_t"): the public header and its type')

    def compat_of(self, instance: ClassInstance) -> ClassInstance:
        """The form of a class for 32-bit callers."""
        info = self.compat_infos.get(instance.key)
        if info is None:
            info = self.compat_infos[instance.key] = replace(
                instance.info, shape="plain", methods={}, protocols=[], abi=None, alignment=None, compat=True
            )
        return self.instance(info, ())

    def check_storage(self, instance: ClassInstance) -> None:
        """Classes whose layout is written down hold nothing but numbers."""
        info, kinds = instance.info, instance.fields
        for name, what in (("packed", "@packed"), ("union", "@union"), ("abi", "@abi")):
            if not getattr(info, name):
                continue
            for field, node in info.fields.items():
                kind = kinds[field]
                if not is_plain(kind, packed=name == "packed") and not isinstance(kind, t.ConstType):
                    raise info.module.refuse(
                        node,
                        f"`{field}: {kind.shown}` in a class marked {what}: it holds integers, kinds, Bits, and arrays "
                        f"and {'packed ' if name == 'packed' else ''}classes of these",
                    )
        if info.union and info.by_value:
            raise info.module.refuse(info.declaration.node, "a @union is no @value: embed it, and store its fields")

    def _describe_base(self, info: ClassInfo, base: ast.expr) -> None:
        module = info.module
        name = (
            base.id
            if isinstance(base, ast.Name)
            else base.value.id
            if isinstance(base, ast.Subscript) and isinstance(base.value, ast.Name)
            else ""
        )
        found = self.program.look_up(module, name)
        word = found.name if isinstance(found, Builtin) else None
        if word == "Generic" and isinstance(base, ast.Subscript):
            names = base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]
            info.parameters = [self._type_parameter(n, module) for n in names]
        elif word == "Protocol":
            info.shape = "protocol"
        elif word == "PerCpu":
            info.per_cpu = True
        elif word == "Extension" and isinstance(base, ast.Subscript):
            info.extends = base.slice
        elif (
            isinstance(found, ClassDeclaration) and self.enum_of(found) is None and self.info(found).shape == "protocol"
        ):
            info.protocols.append(self.info(found))
        else:
            raise module.refuse(
                base,
                f"`{ast.unparse(base)}` is no base: a class implements a Protocol, is Generic, PerCpu or an Extension, "
                "and inherits nothing else",
            )

    def _type_parameter(self, node: ast.expr, module: Module) -> TypeParameter:
        found = self.program.look_up(module, node.id) if isinstance(node, ast.Name) else None
        bound = self.type_variable(found)
        if bound is False or not isinstance(node, ast.Name):
            raise module.refuse(node, "Generic takes type parameters: make them by TypeVar")
        return TypeParameter(node.id, bound)

    @staticmethod
    def type_variable(found: Any) -> Any:
        """The bound (or None) of a name made by TypeVar; False when it is none."""
        if isinstance(found, VariableDeclaration):
            value = found.node.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "TypeVar":
                return next((k.value for k in value.keywords if k.arg == "bound"), None)
        return False

    def instance_for(
        self, declaration: ClassDeclaration, index: ast.expr, node: ast.expr, module: Module, env: Environment
    ) -> ClassInstance:
        """The copy of a generic class for the arguments between brackets."""
        info = self.info(declaration)
        nodes = index.elts if isinstance(index, ast.Tuple) else [index]
        if len(nodes) != len(info.parameters):
            raise module.refuse(
                node,
                f"`{declaration.name}` takes {len(info.parameters)} arguments in brackets: one for each parameter",
            )
        arguments = tuple(self._argument(n, module, env) for n in nodes)
        for parameter, argument, source in zip(info.parameters, arguments, nodes, strict=True):
            if not self._within_bound(parameter.bound, argument, info.module):
                bound = "a type" if parameter.bound is None else ast.unparse(parameter.bound)
                raise module.refuse(source, f"`{ast.unparse(source)}`: {parameter.name} stands for {bound}")
        return self.instance(info, arguments)

    def _within_bound(self, bound: ast.expr | None, argument: Any, module: Module) -> bool:
        """Whether an argument is one of those that a TypeVar stands for."""
        if bound is None:
            return isinstance(argument, t.Type)
        if isinstance(bound, ast.Name) and bound.id == "int":
            return isinstance(argument, t.Constant) and isinstance(argument.value, int)
        wanted = self.type_of(bound, module, {})
        if isinstance(argument, t.Constant):
            return argument.type is wanted
        if isinstance(wanted, t.ProtocolType):
            return isinstance(argument, t.ClassType) and wanted.instance in argument.instance.protocols
        return argument is wanted or not isinstance(wanted, t.EnumType)

    def _argument(self, node: ast.expr, module: Module, env: Environment) -> Any:
        if isinstance(node, ast.Name) and node.id in env:
            return env[node.id]
        try:
            return self.type_of(node, module, env)
        except CompileError:
            return self.constant_of(node, module, env)

    def instance(self, info: ClassInfo, arguments: tuple[Any, ...]) -> ClassInstance:
        made = ClassInstance(info, arguments, self)
        found = self.instances.get(made.key)
        if found is None:
            found = self.instances[made.key] = made
            self.new_instances.append(made)
        return found

    # Functions

    def function(self, declaration: FunctionDeclaration, env: Environment | None = None) -> FunctionInstance:
        suffix = "".join("_" + a.key for a in (env or {}).values())
        return self._function(declaration.module, declaration.node, None, env or {}, declaration.c_name + suffix)

    def method(self, owner: ClassInstance, node: ast.FunctionDef) -> FunctionInstance:
        return self._function(owner.info.module, node, owner, owner.environment, f"{owner.c}_{node.name}")

    def _function(
        self, module: Module, node: ast.FunctionDef, owner: ClassInstance | None, env: Environment, c: str
    ) -> FunctionInstance:
        found = self.functions.get(c)
        if found is None:
            found = self.functions[c] = FunctionInstance(module, node, owner, env, c)
            self._signature(found)
        elif found.node is not node:
            raise module.refuse(node, f"`{node.name}` and `{found.qualified}` are both `{c}` in C: rename one")
        return found

    def _names_registry(self, decorator: ast.expr, module: Module) -> bool:
        """`@registry.entry(…)` or `@registry(…)`."""
        match decorator:
            case ast.Call(func=ast.Attribute(attr="entry")):
                return True
            case ast.Call(func=ast.Name(id=name)):
                return isinstance(self.program.look_up(module, name), VariableDeclaration)
        return False

    def _signature(self, made: FunctionInstance) -> None:
        node, module, env = made.node, made.module, made.environment
        for decorator in node.decorator_list:
            name = _decorator_name(decorator)
            if name in FUNCTION_DECORATORS:
                made.decorators[name] = decorator
                if name in ("export", "extern"):
                    self.need(module, "linkage", decorator, name)
                    made.c = node.name
                elif name == "asm":
                    self.need(module, "assembly", decorator, name)
            elif not self._names_registry(decorator, module):
                known = ", ".join(sorted(FUNCTION_DECORATORS))
                raise module.refuse(
                    decorator,
                    f"unknown decorator `{ast.unparse(decorator)}`: a function takes {known} or a registry's entry(…)",
                )
        arguments = node.args
        if (
            arguments.kwarg
            or arguments.kwonlyargs
            or arguments.posonlyargs
            or (arguments.vararg and node.name != "__exit__")
        ):
            raise module.refuse(node, "star arguments: name each parameter")
        plain = list(arguments.args)
        if not made.static:
            if not plain or plain[0].arg != "self":
                raise module.refuse(node, "a method's first parameter is `self`; without one, mark it @staticmethod")
            plain = plain[1:]
        plain = [a for a in plain if not isinstance(env.get(a.arg), FunctionInstance)]  # known to an adapter's copy
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
        for argument, default in zip(plain, defaults, strict=True):
            if argument.annotation is None:
                raise module.refuse(argument, f"parameter `{argument.arg}` has no type: annotate it")
            kind = self.type_of(argument.annotation, module, env)
            if isinstance(kind, (t.Array, t.Embedded)) or kind in (t.VOID, t.NEVER):
                raise module.refuse(
                    argument,
                    f"parameter `{argument.arg}`: {kind.shown} cannot be passed; pass a reference to what holds it",
                )
            made.parameters.append(Parameter(argument.arg, kind, default))
        if node.returns is None:
            raise module.refuse(node, f"`{node.name}` has no result type: write `-> None` when it returns nothing")
        returns = unquoted(node.returns)
        match returns:
            case ast.Subscript(value=ast.Name(id="Iterator"), slice=inner):
                made.element = self.type_of(inner, module, env)
            case _:
                made.result = self.type_of(returns, module, env)
                if isinstance(made.result, (t.Array, t.Embedded)):
                    raise module.refuse(node, f"{made.result.shown} cannot be returned")


def _decorator_name(decorator: ast.expr) -> str:
    inner = decorator.func if isinstance(decorator, ast.Call) else decorator
    return inner.id if isinstance(inner, ast.Name) else ""
