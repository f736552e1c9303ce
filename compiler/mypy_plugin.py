"""Tells mypy what the stubs of `hv.lang` cannot say.

- Constants between brackets: `array[u32, N]` is an array of u32 whatever N is (the compiler checks lengths), an enum
  member as in `SpinLock[Rank.HEAP]` is its literal type, and an integer, named or written out, is `int`.
- `size_of(T)` where T is a type parameter.
- `Const` fields of values and guards are no arguments of their constructors.
- Constructors of `Bits` take one integer, or the declared fields by name.
- `@registry.entry(...)` takes the fields of the entry but for the one that the decorated function fills.

Expressions with brackets are rewritten in the parsed file, which mypy's native parser reads too late
for a plugin to see: pyproject.toml turns that parser off.
"""

from collections.abc import Callable, Iterable, Iterator

from mypy.nodes import (
    ARG_NAMED_OPT,
    ARG_OPT,
    ARG_POS,
    Argument,
    AssignmentStmt,
    CallExpr,
    ClassDef,
    Expression,
    FakeInfo,
    FuncDef,
    ImportFrom,
    IndexExpr,
    IntExpr,
    MemberExpr,
    MypyFile,
    NameExpr,
    Node,
    TupleExpr,
    TypeAlias,
    TypeInfo,
    Var,
)
from mypy.options import Options
from mypy.plugin import AnalyzeTypeContext, ClassDefContext, MethodSigContext, Plugin
from mypy.plugins.common import add_method_to_class
from mypy.plugins.dataclasses import dataclass_class_maker_callback
from mypy.typeanal import TypeAnalyser
from mypy.types import (
    CallableType,
    FunctionLike,
    Instance,
    LiteralType,
    NoneType,
    RawExpressionType,
    Type,
    TypeVarType,
    UnboundType,
    get_proper_type,
)

LANGUAGE = "hv.lang."
LIBRARIES = ("builtins.", "typing.", "typing_extensions.", "collections.", "enum.", "types.", "abc.", "_")

# The attributes of mypy's nodes that hold statements or expressions.
CHILDREN = (
    "args arguments base bodies body callee cond decorators defs else_body else_expr expr exprs from_expr func guards "
    "handlers if_expr impl index initializer items left lvalues msg operands right rvalue subject target types"
).split()


def _import_zeroed(file: MypyFile) -> None:
    """What `T()` becomes has to be known in the file."""
    imported = ImportFrom("hv.lang", 0, [("_zeroed", "_zeroed")])
    imported.set_line(1)
    file.defs.insert(0, imported)
    file.imports.append(imported)


def _rewrite(node: Node, parameters: frozenset[str]) -> None:
    """Rewrites the expressions in a parsed file that mypy would refuse before any hook sees them.

    mypy's own visitors are compiled and cannot be extended, so this walks by the names of attributes.
    """
    if isinstance(node, CallExpr):
        _rewrite_call(node, parameters)
    elif isinstance(node, IndexExpr) and isinstance(node.index, TupleExpr) and _is_named(node.base, "array"):
        node.index = node.index.items[0]
    for name in CHILDREN:
        value = getattr(node, name, None)
        if isinstance(value, Node):
            _rewrite(value, parameters)
        elif isinstance(value, (list, tuple)):
            for item in _flat(value):
                _rewrite(item, parameters)


def _flat(items: Iterable[object]) -> Iterator[Node]:
    for item in items:
        if isinstance(item, Node):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _flat(item)


def _rewrite_call(call: CallExpr, parameters: frozenset[str]) -> None:
    callee = call.callee
    if isinstance(callee, IndexExpr) and _is_named(callee.base, "Compat"):
        call.callee = callee = callee.index  # mypy knows one form of a class
    if isinstance(callee, NameExpr) and callee.name in parameters and not call.args:
        application = IndexExpr(NameExpr("_zeroed"), callee)
        call.callee = MemberExpr(application, "made")
        for made in (application, application.base, call.callee):
            made.set_line(call)
        return
    if isinstance(callee, IndexExpr) and isinstance(callee.base, NameExpr) and _names_class(callee.base.name):
        _name_numbers(callee)
    elif _is_named(callee, "size_of") and len(call.args) == 1:
        kind = call.args[0]
        if isinstance(kind, IndexExpr) and _is_named(kind.base, "Compat"):
            kind = kind.index
        application = IndexExpr(callee, kind)
        application.set_line(call)
        call.callee, call.args, call.arg_kinds, call.arg_names = application, [], [], []


def _is_named(node: Expression, name: str) -> bool:
    return isinstance(node, NameExpr) and node.name == name


def _names_class(name: str) -> bool:
    return name[0].isupper() and not name.isupper()


def _name_numbers(application: IndexExpr) -> None:
    """Writes `int` for every number between the brackets."""
    if isinstance(application.index, TupleExpr):
        application.index.items = [_named(item) for item in application.index.items]
    else:
        application.index = _named(application.index)


def _named(item: Expression) -> Expression:
    if not isinstance(item, IntExpr):
        return item
    name = NameExpr("int")
    name.set_line(item)
    return name


class LanguagePlugin(Plugin):
    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._analysed = False  # the next type that asks for a hook is one that the hook hands back to mypy

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        if not file.is_stub:
            parameters = {
                target.name
                for statement in file.defs
                if isinstance(statement, AssignmentStmt)
                and isinstance(statement.rvalue, CallExpr)
                and _is_named(statement.rvalue.callee, "TypeVar")
                for target in statement.lvalues
                if isinstance(target, NameExpr)
            }
            _rewrite(file, frozenset(parameters))
            if parameters:
                _import_zeroed(file)
        return []

    def get_type_analyze_hook(self, fullname: str) -> Callable[[AnalyzeTypeContext], Type] | None:
        if self._analysed:
            self._analysed = False
            return None
        return None if fullname.startswith(LIBRARIES) else self._analyze

    def _analyze(self, ctx: AnalyzeTypeContext) -> Type:
        kind, analyser = ctx.type, ctx.api
        assert isinstance(kind, UnboundType) and isinstance(analyser, TypeAnalyser)
        symbol = analyser.lookup_qualified(kind.name, kind)
        node = None if symbol is None else symbol.node
        if isinstance(node, Var):
            if not isinstance(node.info, FakeInfo) and node.info.is_enum:
                return LiteralType(node.name, Instance(node.info, []), kind.line, kind.column)
            if node.name.isupper():
                return analyser.named_type("builtins.int")
        if node is not None and node.fullname == LANGUAGE + "array" and len(kind.args) == 2:
            kind.args = kind.args[:1]
        elif kind.args and not kind.name.endswith("Literal"):
            kind.args = tuple(
                UnboundType("int", line=kind.line, column=kind.column) if _is_number(a) else a for a in kind.args
            )
        self._analysed = True
        return kind.accept(analyser)

    def get_base_class_hook(self, fullname: str) -> Callable[[ClassDefContext], None] | None:
        return _bits_constructor if fullname == LANGUAGE + "Bits" else None

    def get_class_decorator_hook_2(self, fullname: str) -> Callable[[ClassDefContext], bool] | None:
        return _record_constructor if fullname in (LANGUAGE + "value", LANGUAGE + "guard") else None

    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        if fullname in (LANGUAGE + "Registry.entry", LANGUAGE + "Registry.__call__"):
            return _entry_signature
        if fullname in (LANGUAGE + "Adapted.entry", LANGUAGE + "Adapted.__call__"):
            return _adapted_signature
        return None


def _is_number(kind: Type) -> bool:
    return isinstance(kind, RawExpressionType) and isinstance(kind.literal_value, int)


def _bits_constructor(ctx: ClassDefContext) -> None:
    """Gives a class of bit-fields its `__init__`."""
    number = ctx.api.named_type("builtins.int")
    arguments = [Argument(Var("raw", number), number, None, ARG_OPT, pos_only=True)]
    for name, field in _fields(ctx.cls):
        kind = _field_type(ctx, field)
        if kind is None:
            ctx.api.defer()
            return
        arguments.append(Argument(Var(name, kind), kind, None, ARG_NAMED_OPT))
    add_method_to_class(ctx.api, ctx.cls, "__init__", arguments, NoneType())


def _fields(definition: ClassDef) -> list[tuple[str, CallExpr]]:
    found = []
    for statement in definition.defs.body:
        if isinstance(statement, AssignmentStmt) and isinstance(statement.rvalue, CallExpr):
            target, callee = statement.lvalues[0], statement.rvalue.callee
            if isinstance(target, NameExpr) and isinstance(callee, NameExpr) and callee.name == "Field":
                found.append((target.name, statement.rvalue))
    return found


def _field_type(ctx: ClassDefContext, field: CallExpr) -> Type | None:
    """The type of a `Field(...)`; None when its class is not known yet."""
    for name, argument in zip(field.arg_names, field.args, strict=True):
        if name == "of" and isinstance(argument, NameExpr):
            symbol = ctx.api.lookup_qualified(argument.name, argument, suppress_errors=True)
            node = None if symbol is None else symbol.node
            if isinstance(node, TypeAlias):
                return node.target
            return Instance(node, []) if isinstance(node, TypeInfo) else None
    return ctx.api.named_type("builtins.bool" if len(field.args) == 1 else "builtins.int")


def _record_constructor(ctx: ClassDefContext) -> bool:
    """The constructor of a value or guard, without the fields whose value the type gives."""
    complete = dataclass_class_maker_callback(ctx)
    constants = {
        target.name
        for statement in ctx.cls.defs.body
        if isinstance(statement, AssignmentStmt)
        and isinstance(statement.unanalyzed_type, UnboundType)
        and statement.unanalyzed_type.name == "Const"
        for target in statement.lvalues
        if isinstance(target, NameExpr)
    }
    symbol = ctx.cls.info.names.get("__init__")
    constructor = None if symbol is None else symbol.node
    if complete and constants and isinstance(constructor, FuncDef) and isinstance(constructor.type, CallableType):
        kept = [i for i, name in enumerate(constructor.type.arg_names) if name not in constants]
        constructor.arguments = [constructor.arguments[i] for i in kept]
        constructor.arg_names = [constructor.arg_names[i] for i in kept]
        constructor.arg_kinds = [constructor.arg_kinds[i] for i in kept]
        constructor.type = constructor.type.copy_modified(
            arg_types=[constructor.type.arg_types[i] for i in kept],
            arg_names=[constructor.type.arg_names[i] for i in kept],
            arg_kinds=[constructor.type.arg_kinds[i] for i in kept],
        )
    return complete


def _entry_signature(ctx: MethodSigContext, adapted: bool = False) -> FunctionLike:
    """`entry` takes the other fields of the entry, and decorates a function of the type of its one Callable field;
    of an Adapted, any function.
    """
    registry = get_proper_type(ctx.type)
    entry = get_proper_type(registry.args[0]) if isinstance(registry, Instance) else None
    constructor = entry.type.get_method("__init__") if isinstance(entry, Instance) else None
    signature = constructor.type if isinstance(constructor, FuncDef) else None
    decorator = get_proper_type(ctx.default_signature.ret_type)
    if not isinstance(signature, CallableType) or not isinstance(decorator, CallableType):
        return ctx.default_signature
    kinds = [get_proper_type(kind) for kind in signature.arg_types]
    functions = [kind for kind in kinds if isinstance(kind, CallableType)]
    kept = [i for i, kind in enumerate(kinds) if i != 0 and not isinstance(kind, CallableType)]
    decorated = decorator.variables[0] if decorator.variables else None
    if len(functions) != 1 or not isinstance(decorated, TypeVarType):
        return ctx.default_signature
    variable = decorated if adapted else decorated.copy_modified(upper_bound=functions[0])
    return ctx.default_signature.copy_modified(
        arg_types=[signature.arg_types[i] for i in kept],
        arg_names=[signature.arg_names[i] for i in kept],
        arg_kinds=[signature.arg_kinds[i] for i in kept],
        ret_type=CallableType([variable], [ARG_POS], [None], variable, decorator.fallback, variables=[variable]),
    )


def _adapted_signature(ctx: MethodSigContext) -> FunctionLike:
    return _entry_signature(ctx, adapted=True)


def plugin(version: str) -> type[Plugin]:
    return LanguagePlugin
