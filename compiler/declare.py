"""Declarations with their types: classes and their copies for generic arguments, functions, type expressions."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from compiler import typesystem as t
from compiler.abi import is_plain
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
    Folded,
    FunctionDeclaration,
    Module,
    ModuleReference,
    Program,
    VariableDeclaration,
)

ENUM_BASES = {f"U{bits}Enum": (t.INTS[f"u{bits}"], False) for bits in (8, 16, 32, 64)} | {
    f"U{bits}Flag": (t.INTS[f"u{bits}"], True) for bits in (8, 16, 32, 64)
}
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
    "test_only",
    "preemption_policy",
}


class Declarations:
    """Gives each declaration its type, once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.infos: dict[ClassDeclaration, ClassInfo] = {}
        self.enums: dict[ClassDeclaration, t.Type] = {}
        self.instances: dict[str, ClassInstance] = {}
        self.functions: dict[tuple[Any, ...], FunctionInstance] = {}
        self.compat_infos: dict[str, ClassInfo] = {}
        self.new_instances: list[ClassInstance] = []
        self.constant_of: Any = None  # set by the compiler: evaluates a constant expression

    # Type expressions

    def type_of(self, node: ast.expr, module: Module, env: Environment) -> Any:
        """The Type (or, for a generic's constant argument, the Constant) that an annotation means."""
        match node:
            case ast.Constant(value=None):
                return t.VOID
            case ast.Constant(value=str()):
                return self.type_of(unquoted(node), module, env)
            case ast.BinOp(op=ast.BitOr(), left=left, right=ast.Constant(value=None)):
                return self._nullable(self.type_of(left, module, env), module, node)
            case ast.Name(id=name):
                return self._named_type(name, node, module, env)
            case ast.Attribute():
                found = self._attribute(node, module)
                if isinstance(found, (ClassDeclaration, VariableDeclaration)):
                    return self._declared_type(found, node, module)
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return self._subscript(name, index, node, module, env)
            case ast.Subscript(value=ast.Attribute() as attribute, slice=index):
                found = self._attribute(attribute, module)
                if isinstance(found, ClassDeclaration):
                    return self.instance_for(found, index, node, module, env).type
        raise module.refuse(node, f"`{ast.unparse(node)}` is not a type: name a class, an integer type or an alias")

    def _attribute(self, node: ast.Attribute, module: Module) -> Any:
        if isinstance(node.value, ast.Name):
            found = self.program.look_up(module, node.value.id)
            if isinstance(found, ModuleReference):
                return self.program.look_up(found.module, node.attr)
        return None

    def _nullable(self, inner: t.Type, module: Module, node: ast.expr) -> t.Type:
        if isinstance(inner, (t.ClassType, t.ProtocolType, t.Function, t.Pointer)) and not (
            isinstance(inner, t.ClassType) and inner.by_value
        ):
            return t.intern(t.Nullable(inner))
        raise module.refuse(
            node, f"`{inner.shown} | None`: only references may be null; give a record a field that says so"
        )

    def _named_type(self, name: str, node: ast.expr, module: Module, env: Environment) -> Any:
        if name in env:
            return env[name]
        found = self.program.look_up(module, name)
        if isinstance(found, Builtin):
            if found.name in t.INTS:
                return t.INTS[found.name]
            simple = {"bool": t.BOOL, "str": t.STR, "Message": t.MESSAGE, "Never": t.NEVER, "Errno": t.ERRNO}.get(
                found.name
            )
            if simple is not None:
                return simple
            if found.name == "int":
                raise module.refuse(node, "`int` has no width: write u8 … u64 or i8 … i64")
            if found.name == "object":
                raise module.refuse(node, "`object`: every value has a type of its own here")
        if isinstance(found, (ClassDeclaration, VariableDeclaration)):
            return self._declared_type(found, node, module)
        if found is None:
            raise module.refuse(node, f"`{name}` is not known here: import it")
        raise module.refuse(node, f"`{name}` is not a type: name a class, an integer type or an alias")

    def _declared_type(self, found: Any, node: ast.expr, module: Module) -> Any:
        if isinstance(found, ClassDeclaration):
            enum = self.enum_of(found)
            if enum is not None:
                return enum
            info = self.info(found)
            if info.parameters:
                raise module.refuse(node, f"`{found.name}` is generic: write `{found.name}[…]`")
            return self.instance(info, ()).type
        kind = self.kind_or_alias(found)
        if kind is None:
            raise module.refuse(node, f"`{found.name}` is not a type: name a class, an integer type or an alias")
        return kind

    def kind_or_alias(self, found: VariableDeclaration) -> t.Type | None:
        """The type behind `Gfn = NewType("Gfn", u64)` or an alias; None when the variable is a value."""
        key = ("kind", found.module.name, found.name)
        if key in self.functions:
            return self.functions[key]  # type: ignore[return-value]
        made: t.Type | None = None
        value = found.node.value
        annotated_alias = (
            isinstance(found.node, ast.AnnAssign)
            and isinstance(found.node.annotation, ast.Name)
            and found.node.annotation.id == "TypeAlias"
        )
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "NewType":
            base = self.type_of(value.args[1], found.module, {})
            if not isinstance(base, t.Int):
                raise found.module.refuse(value, 'NewType names an integer type: NewType("Gfn", u64)')
            made = t.Kind(found.c_name, base)
        elif annotated_alias or (
            isinstance(found.node, ast.Assign) and isinstance(value, (ast.Subscript, ast.Name, ast.BinOp))
        ):
            made = self.type_of(value, found.module, {})
        if made is not None:
            self.functions[key] = made  # type: ignore[assignment]
        return made

    def _subscript(self, name: str, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> Any:
        found = self.program.look_up(module, name)
        if isinstance(found, ClassDeclaration):
            return self.instance_for(found, index, node, module, env).type
        match found.name if isinstance(found, Builtin) else None:
            case "array":
                if not (isinstance(index, ast.Tuple) and len(index.elts) == 2):
                    raise module.refuse(node, "an array has a type and a length: array[u32, 16]")
                element = self.field_type(index.elts[0], module, env)
                if isinstance(element, t.ClassType) and not element.by_value:
                    element = t.intern(t.Embedded(element))
                return t.intern(t.Array(element, self.length_of(index.elts[1], module, env)))
            case "ptr":
                self.need(module, "pointers", node, "ptr")
                return t.intern(t.Pointer(self.type_of(index, module, env)))
            case "Embedded":
                inner = self.type_of(index, module, env)
                if not isinstance(inner, t.ClassType) or inner.by_value:
                    raise module.refuse(node, f"Embedded[{inner.shown}]: only a class of references can be embedded")
                return t.intern(t.Embedded(inner))
            case "Atomic":
                self.need(module, "atomics", node, "Atomic")
                return t.intern(t.Atomic(self.type_of(index, module, env)))
            case "Long" | "Aligned":
                return self._sized(name, index, node, module, env)
            case "Compat":
                return self._compat(index, node, module, env)
            case "Const":
                return t.ConstType(self.type_of(index, module, env))
            case "Final":
                return self.type_of(index, module, env)
            case "tuple":
                return self._tuple(index, module, env)
            case "Callable":
                if isinstance(index, ast.Tuple) and len(index.elts) == 2 and isinstance(index.elts[0], ast.List):
                    parameters = tuple(self.type_of(e, module, env) for e in index.elts[0].elts)
                    return t.intern(t.Function(parameters, self.type_of(index.elts[1], module, env)))
                raise module.refuse(node, "write Callable[[u32, str], None]")
        raise module.refuse(node, f"`{ast.unparse(node)}` is not a type: name a class, an integer type or an alias")

    def _sized(self, word: str, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> t.Type:
        """`Long[T]`, `Aligned[T]`: for the class itself no more than T."""
        found: t.Type = self.type_of(index, module, env)
        base = found.base if isinstance(found, (t.Kind, t.BitsType)) else found
        if not isinstance(base, t.Int) or base.bits != 64 or (word == "Long" and base.signed):
            raise module.refuse(node, f"{word}[{found.shown}]: it is said of an integer of 64 bits, in an @abi class")
        return found

    def _compat(self, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> t.Type:
        found = self.type_of(index, module, env)
        if not isinstance(found, t.ClassType) or not is_plain(found):
            shown = f"Compat[{ast.unparse(index)}]"
            raise module.refuse(
                node, f"{shown}: only a class of integers, as @abi wants, has a form for 32-bit callers"
            )
        return self.compat_of(found.instance).type  # type: ignore[no-any-return]

    def _tuple(self, index: ast.expr, module: Module, env: Environment) -> t.Type:
        parts = [self.type_of(e, module, env) for e in index.elts] if isinstance(index, ast.Tuple) else []
        if len(parts) < 2 or any(not isinstance(part, t.Type) for part in parts):
            raise module.refuse(index, "a tuple holds two values or more: write tuple[u32, bool]")
        for part in parts:
            if isinstance(part, (t.Array, t.Embedded, t.Atomic, t.ConstType)) or part in (t.VOID, t.NEVER, t.MESSAGE):
                raise module.refuse(index, f"{part.shown} in a tuple: it holds values and references")
            if isinstance(part, t.ClassType) and part.instance.info.shape == "guard":
                raise module.refuse(index, f"a {part.shown} belongs to a `with` statement: it lies in no tuple")
        return t.intern(t.Tuple(tuple(parts)))

    def field_type(self, node: ast.expr, module: Module, env: Environment) -> t.Type:
        """What a field or element holds: classes marked @embedded lie inside their owner."""
        found = self.type_of(node, module, env)
        if isinstance(found, t.ClassType) and found.instance.info.shape == "embedded":
            return t.intern(t.Embedded(found))
        if isinstance(found, t.Constant) or found in (t.VOID, t.NEVER, t.MESSAGE):
            raise module.refuse(node, f"`{ast.unparse(node)}` cannot be stored: keep what it is made of")
        if isinstance(found, t.Tuple):
            raise module.refuse(
                node, f"{found.shown} cannot be stored: declare a @value class, whose fields have names"
            )
        if isinstance(found, t.ClassType) and found.instance.info.shape == "guard":
            raise module.refuse(node, f"a {found.shown} belongs to a `with` statement: it is stored nowhere")
        return found

    def length_of(self, node: ast.expr, module: Module, env: Environment) -> int:
        value = self.constant_of(node, module, env)
        if not isinstance(value.value, int) or value.value <= 0:
            raise module.refuse(node, f"`{ast.unparse(node)}`: an array's length is a positive constant")
        return value.value

    def need(self, module: Module, heading: str, node: ast.AST, word: str) -> None:
        if not self.program.allowed(module, heading):
            raise module.refuse(
                node,
                f"`{word}` is a low-level word: list {module.name} under `{heading}` in hv/listed.toml, "
                "or use a module that is listed",
            )

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

    def enum_of(self, declaration: ClassDeclaration) -> t.Type | None:
        """The enum, flag or bit-field type of a class; None for other classes."""
        if declaration in self.enums:
            return self.enums[declaration]
        node, module = declaration.node, declaration.module
        for base in node.bases:
            if isinstance(base, ast.Name):
                found = self.program.look_up(module, base.id)
                if isinstance(found, Builtin) and found.name in ENUM_BASES:
                    self.enums[declaration] = self._enum(declaration, *ENUM_BASES[found.name])
                    return self.enums[declaration]
            elif isinstance(base, ast.Subscript) and isinstance(base.value, ast.Name):
                found = self.program.look_up(module, base.value.id)
                if isinstance(found, Builtin) and found.name == "Bits":
                    return self._bits(declaration, self.type_of(base.slice, module, {}))
        return None

    def _enum(self, declaration: ClassDeclaration, base: t.Int, flags: bool) -> t.EnumType:
        members: dict[str, int] = {}
        for item in declaration.node.body:
            match item:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    constant = self.constant_of(
                        value, declaration.module, {k: t.Constant(base, v) for k, v in members.items()}
                    )
                    if not base.low <= constant.value <= base.high:
                        raise declaration.module.refuse(
                            item, f"{name} = {constant.value} does not fit {base.key}: use a wider enum"
                        )
                    members[name] = constant.value
                case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                    pass
                case _:
                    raise declaration.module.refuse(item, "an enum holds members only: NAME = number")
        return t.EnumType(declaration.c_name, declaration.name, base, members, flags)

    def _bits(self, declaration: ClassDeclaration, base: t.Int) -> t.BitsType:
        fields: dict[str, t.BitField] = {}
        made = self.enums[declaration] = t.BitsType(declaration.c_name, declaration.name, base, fields)
        module = declaration.module
        for item in declaration.node.body:
            match item:
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Field"), args=args, keywords=keywords)
                ) if 1 <= len(args) <= 2:
                    numbers = [self.constant_of(a, module, {}).value for a in args]
                    high, low = (numbers[0], numbers[-1])
                    if not 0 <= low <= high < base.bits:
                        raise module.refuse(
                            item, f"Field({high}, {low}) does not lie in {base.key}: the higher bit stands first"
                        )
                    of = next((self.type_of(k.value, module, {}) for k in keywords if k.arg == "of"), None)
                    fields[name] = t.BitField(high, low, of or (t.BOOL if len(args) == 1 else base))
                    inner = getattr(of, "base", of)
                    if isinstance(inner, t.Int) and (inner.signed or inner.bits < high - low + 1):
                        raise module.refuse(
                            item, f"a field of {high - low + 1} bits does not lie in {inner.key}: use a wider type"
                        )
                case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                    pass
                case _:
                    raise module.refuse(item, "a Bits class holds fields only: NAME = Field(high, low) or Field(bit)")
        return made

    # Functions

    def function(self, declaration: FunctionDeclaration, env: Environment | None = None) -> FunctionInstance:
        suffix = "".join("_" + a.key for a in (env or {}).values())
        return self._function(declaration.module, declaration.node, None, env or {}, declaration.c_name + suffix)

    def method(self, owner: ClassInstance, node: ast.FunctionDef) -> FunctionInstance:
        return self._function(owner.info.module, node, owner, owner.environment, f"{owner.c}_{node.name}")

    def _function(
        self, module: Module, node: ast.FunctionDef, owner: ClassInstance | None, env: Environment, c: str
    ) -> FunctionInstance:
        found = self.functions.get((c,))
        if found is None:
            found = self.functions[(c,)] = FunctionInstance(module, node, owner, env, c)
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


def unquoted(node: ast.expr) -> ast.expr:
    """An annotation in quotes, which name what Python does not know yet, as the expression in them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parsed = ast.parse(node.value, mode="eval").body
        ast.increment_lineno(parsed, node.lineno - 1)
        return parsed
    return node


def _decorator_name(decorator: ast.expr) -> str:
    inner = decorator.func if isinstance(decorator, ast.Call) else decorator
    return inner.id if isinstance(inner, ast.Name) else ""


__all__ = [
    "ClassInfo",
    "ClassInstance",
    "Declarations",
    "Environment",
    "Folded",
    "FunctionInstance",
    "Parameter",
]
