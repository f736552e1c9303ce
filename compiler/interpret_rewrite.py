"""The rewriting of a program's syntax tree by which CPython gives a compiled program's answers.

What changes: a value takes the type that an annotation names where it is passed, returned, yielded, assigned or
stored; classes keep their annotations for the fields that `hv.lang` makes of them; names of other modules are looked
up there when they are used; division, elements and augmented assignment go through `hv.lang.runtime`; assertions
trap.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from compiler.abi import word_of

RUNTIME = "__hv__"
ENVIRONMENT = "__env__"
OWNER = "__owner__"  # what stands for `self` in a static method of a generic class
ENUM_BASES = {f"U{bits}{kind}" for bits in (8, 16, 32, 64) for kind in ("Enum", "Flag")}


def rewrite(tree: ast.Module, exists: Callable[[str], bool]) -> ast.Module:
    """`exists(name)` says whether a dotted name is a module."""
    rewritten = _Module(exists).run(tree)
    _locate(rewritten, 1)
    return rewritten


def _locate(node: ast.AST, line: int) -> None:
    """Gives what was made the line of what stands around it."""
    line = getattr(node, "lineno", line)
    if "lineno" in node._attributes:
        node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        _locate(child, line)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _runtime(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(_name(RUNTIME), name, ast.Load()), list(arguments), [])


def _lambda(body: ast.expr, *parameters: str) -> ast.Lambda:
    return ast.Lambda(ast.arguments([], [ast.arg(p) for p in parameters], None, [], [], None, []), body)


def _decorator_names(node: ast.FunctionDef | ast.ClassDef) -> set[str]:
    inner = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return {d.id for d in inner if isinstance(d, ast.Name)}


class _Types(ast.NodeTransformer):
    """An annotation as an expression that gives the type."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self.generic = False

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, str):
            visited: ast.expr = self.visit(ast.parse(node.value, mode="eval").body)
            return visited
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.BitOr):
            return _runtime("nullable", self.visit(node.left))
        self.generic_visit(node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in ("Final", "Iterator"):
            inner: ast.expr = self.visit(node.slice)
            return inner
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.module.type_variables:
            self.generic = True
            return _runtime("parameter", _name(ENVIRONMENT), ast.Constant(node.id))
        return self.module.named(node)


class _Module:
    def __init__(self, exists: Callable[[str], bool]) -> None:
        self.exists = exists
        self.imported: dict[str, tuple[str, str | None]] = {}  # a local name to a module's variable and a name in it
        self.type_variables: set[str] = set()
        self.variables: dict[str, ast.expr] = {}  # module variables to their annotations
        self.annotations: list[ast.stmt] = []
        self.modules = 0

    def run(self, tree: ast.Module) -> ast.Module:
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="TypeVar"))):
                    self.type_variables.add(name)
        for node in tree.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                self.variables[node.target.id] = node.annotation
        body = self.statements(tree.body)
        return ast.Module(self.annotations + body, [])

    def annotation(self, node: ast.expr) -> tuple[ast.expr, bool]:
        """The name of an `Annotation`, made once, and whether it depends on type parameters."""
        types = _Types(self)
        body = types.visit(ast.parse(ast.unparse(node), mode="eval").body)
        name = f"__kind_{len(self.annotations)}__"
        made = _runtime("Annotation", _lambda(body, ENVIRONMENT), ast.Constant(types.generic))
        self.annotations.append(ast.Assign([ast.Name(name, ast.Store())], made))
        return _name(name), types.generic

    def typed(self, annotation: ast.expr, value: ast.expr) -> ast.expr:
        kind, generic = self.annotation(annotation)
        return _runtime("typed", kind, value, *([_name(ENVIRONMENT)] if generic else []))

    def named(self, node: ast.Name) -> ast.expr:
        """A name, looked up in the module that declares it."""
        module, name = self.imported.get(node.id, ("", None))
        if not module:
            return node
        return _name(module) if name is None else ast.Attribute(_name(module), name, node.ctx)

    # Module level

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [made for node in body for made in self.statement(node)]

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.ImportFrom():
                return self.imports(node)
            case ast.ClassDef():
                return [self.class_definition(node)]
            case ast.FunctionDef():
                return [_Function(self, node, None).run()]
            case ast.AnnAssign(annotation=annotation, value=value) if value is not None:
                made = _Expressions(self, set()).visit(value)
                plain = isinstance(annotation, ast.Name) and annotation.id in ("Final", "TypeAlias")
                null = isinstance(value, ast.Constant) and value.value is None
                return [ast.Assign([node.target], made if plain or null else self.typed(annotation, made))]
            case ast.Assign():
                return [ast.Assign(node.targets, _Expressions(self, set()).visit(node.value))]
            case ast.If():
                test = _Expressions(self, set()).visit(node.test)
                return [ast.If(test, self.statements(node.body) or [ast.Pass()], self.statements(node.orelse))]
        return [node]

    def imports(self, node: ast.ImportFrom) -> list[ast.stmt]:
        source = node.module or ""
        if source in ("hv.lang", "hv.config"):
            loaded: list[ast.stmt] = []
            for alias in node.names:
                value = ast.Attribute(ast.Call(_name("__load__"), [ast.Constant(source)], []), alias.name, ast.Load())
                loaded.append(ast.Assign([ast.Name(alias.asname or alias.name, ast.Store())], value))
            return loaded
        made: list[ast.stmt] = []
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            whole = self.exists(inner)
            variable = f"__module_{self.modules}__"
            self.modules += 1
            self.imported[alias.asname or alias.name] = (variable, None if whole else alias.name)
            call = ast.Call(_name("__load__"), [ast.Constant(inner if whole else source)], [])
            made.append(ast.Assign([ast.Name(variable, ast.Store())], call))
        return made

    def class_definition(self, node: ast.ClassDef) -> ast.ClassDef:
        plain = _Expressions(self, set())
        names = {
            b.value.id if isinstance(b, ast.Subscript) and isinstance(b.value, ast.Name) else getattr(b, "id", "")
            for b in node.bases
        }
        if names & ENUM_BASES or "Bits" in names:
            node.bases = [plain.visit(b) for b in node.bases]
            node.body = [s if isinstance(s, ast.Expr) else plain.visit(s) for s in node.body]
            return node
        parameters = self._parameters(node)
        fields: dict[str, ast.expr] = {}
        body: list[ast.stmt] = []
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                fields[item.target.id] = self.annotation(item.annotation)[0]
            elif isinstance(item, ast.FunctionDef):
                body.append(_Function(self, item, parameters).run())
        sized = {
            item.target.id: word
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            for word in [word_of(item.annotation)]
            if word is not None
        }
        marks = ast.Dict([ast.Constant(name) for name in sized], [ast.Constant(word) for word in sized.values()])
        body.insert(0, ast.Assign([ast.Name("__sized__", ast.Store())], marks))
        table = ast.Dict([ast.Constant(name) for name in fields], list(fields.values()))
        body.insert(0, ast.Assign([ast.Name("__fields__", ast.Store())], table))
        node.bases = [self._base(b) for b in node.bases] or [ast.Attribute(_name(RUNTIME), "Object", ast.Load())]
        node.decorator_list = [plain.visit(d) for d in node.decorator_list]
        node.body = body
        return node

    def _parameters(self, node: ast.ClassDef) -> set[str]:
        """The type parameters of a generic class."""
        for base in node.bases:
            if isinstance(base, ast.Subscript) and isinstance(base.value, ast.Name) and base.value.id == "Generic":
                return {n.id for n in ast.walk(base.slice) if isinstance(n, ast.Name)}
        return set()

    def _base(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Generic":
            return node
        made: ast.expr = _Expressions(self, set()).visit(node)
        return made


class _Expressions(ast.NodeTransformer):
    """Expressions, and the names in them. `parameters` are the type parameters that are known here."""

    def __init__(self, module: _Module, parameters: set[str], local: set[str] | None = None) -> None:
        self.module = module
        self.parameters = parameters
        self.local = local or set()

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or node.id in self.local:
            return node
        if node.id in self.parameters:
            return _runtime("parameter", _name(ENVIRONMENT), ast.Constant(node.id))
        return ast.copy_location(self.module.named(node), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, (ast.FloorDiv, ast.Mod)):
            name = "divide" if isinstance(node.op, ast.FloorDiv) else "remainder"
            return ast.copy_location(_runtime(name, node.left, node.right), node)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        return ast.copy_location(_runtime("inverted", node.operand), node) if isinstance(node.op, ast.Invert) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.slice, ast.Slice):
            bounds = [ast.Constant(None) if b is None else self.visit(b) for b in (node.slice.lower, node.slice.upper)]
            return ast.copy_location(_runtime("part", self.visit(node.value), *bounds), node)
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            return ast.copy_location(_runtime("item", node.value, node.slice), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id == "bool":
            return ast.copy_location(_runtime("truth", self.visit(node.args[0])), node)
        if isinstance(node.func, ast.Name) and node.func.id == "size_of":
            types = _Types(self.module)
            return ast.copy_location(ast.Call(node.func, [types.visit(node.args[0])], []), node)
        if isinstance(node.func, ast.Name) and node.func.id == "len" and isinstance(node.args[0], ast.Constant):
            return ast.copy_location(ast.Constant(len(str(node.args[0].value).encode())), node)
        self.generic_visit(node)
        return node


class _Function(_Expressions):
    """A function or method. `parameters` are its class's type parameters; None for a plain function."""

    def __init__(self, module: _Module, node: ast.FunctionDef, parameters: set[str] | None) -> None:
        arguments = node.args.args
        mentioned = {n.id for a in arguments if a.annotation for n in ast.walk(a.annotation) if isinstance(n, ast.Name)}
        own = mentioned & module.type_variables if parameters is None else parameters
        super().__init__(module, own, {a.arg for a in arguments})
        self.node = node
        self.inside = parameters is not None
        self.decorators = _decorator_names(node)
        self.static = "staticmethod" in self.decorators
        self.globals = {n for s in ast.walk(node) if isinstance(s, ast.Global) for n in s.names}
        self.kinds: dict[str, ast.expr] = {a.arg: a.annotation for a in arguments if a.annotation}
        for inner in ast.walk(node):
            if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                self.kinds[inner.target.id] = inner.annotation
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store) and inner.id not in self.globals:
                self.local.add(inner.id)
            if isinstance(inner, ast.ExceptHandler) and inner.name:
                self.local.add(inner.name)

    def run(self) -> ast.FunctionDef:
        node = self.node
        opening = self._environment() + [
            ast.Assign([ast.Name(a.arg, ast.Store())], self.module.typed(a.annotation, _name(a.arg)))
            for a in node.args.args
            if a.annotation is not None
        ]
        plain = _Expressions(self.module, set())
        node.args.defaults = [plain.visit(d) for d in node.args.defaults]
        if "asm" in self.decorators:
            body: list[ast.stmt] = [] if self._returns_nothing() else [ast.Return(self._zero())]
        else:
            body = self.block(
                [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            )
        node.decorator_list = [plain.visit(d) for d in node.decorator_list]
        if not self.inside and not self.parameters:
            kinds = [self.module.annotation(a.annotation)[0] for a in node.args.args if a.annotation is not None]
            node.decorator_list.append(_runtime("signed", *kinds))
        if self.inside and self.static and self.parameters:
            node.decorator_list = [
                _name("classmethod") if getattr(d, "id", "") == "staticmethod" else d for d in node.decorator_list
            ]
            node.args.args.insert(0, ast.arg(OWNER))
        for argument in [*node.args.args, *([node.args.vararg] if node.args.vararg else [])]:
            argument.annotation = None
        node.returns = None
        node.body = opening + body or [ast.Pass()]
        return node

    def _environment(self) -> list[ast.stmt]:
        """Binds the type parameters that the body may mention."""
        if not self.parameters:
            return []
        if self.inside:
            owner = OWNER if self.static else "self"
            made: ast.expr = ast.Attribute(_name(owner), ENVIRONMENT, ast.Load())
        else:
            found = self._inferred()
            made = ast.Dict([ast.Constant(name) for name in found], list(found.values()))
        return [ast.Assign([ast.Name(ENVIRONMENT, ast.Store())], made)]

    def _inferred(self) -> dict[str, ast.expr]:
        """The parameters of a generic function from its arguments."""
        found: dict[str, ast.expr] = {}
        for argument in self.node.args.args:
            match argument.annotation:
                case ast.Name(id=name) if name in self.parameters:
                    found.setdefault(name, _runtime("kind_of", _name(argument.arg)))
                case ast.Subscript(value=ast.Name(id="Callable"), slice=ast.Tuple(elts=[ast.List(elts=parts), _])):
                    for place, part in enumerate(parts):
                        if isinstance(part, ast.Name) and part.id in self.parameters:
                            made = _runtime("parameter_of", _name(argument.arg), ast.Constant(place))
                            found.setdefault(part.id, made)
                case ast.Subscript(slice=inner):
                    for place, part in enumerate(inner.elts if isinstance(inner, ast.Tuple) else [inner]):
                        if isinstance(part, ast.Name) and part.id in self.parameters:
                            found.setdefault(part.id, _runtime("argument_of", _name(argument.arg), ast.Constant(place)))
        return found

    def _returns_nothing(self) -> bool:
        returns = self.node.returns
        return returns is None or (isinstance(returns, ast.Constant) and returns.value is None)

    def _zero(self) -> ast.expr:
        assert self.node.returns is not None
        return _runtime("nothing", self.module.annotation(self.node.returns)[0])

    # Statements

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for statement in body:
            visited = self.visit(statement)
            made += visited if isinstance(visited, list) else [visited]
        return made

    def visit_For(self, node: ast.For) -> ast.stmt | list[ast.stmt]:
        """A preemptible loop keeps its progress when ERESTART leaves it, and when it ends."""
        match node.iter:
            case ast.Call(func=ast.Name(id="preemptible"), args=[ast.Call(args=[ast.Attribute() as start, stop]), _]):
                pass
            case _:
                self.generic_visit(node)
                return node
        loop = f"__loop_{node.lineno}__"
        made = _runtime("Preemptible", self.visit(start.value), ast.Constant(start.attr), self.visit(stop))
        inner = ast.For(node.target, _name(loop), [self.visit(s) for s in node.body], [])
        passed = ast.Expr(ast.Call(ast.Attribute(_name(loop), "passed", ast.Load()), [_name("__error__")], []))
        handler = ast.ExceptHandler(
            ast.Attribute(_name(RUNTIME), "Errno", ast.Load()), "__error__", [passed, ast.Raise()]
        )
        ended = ast.Expr(ast.Call(ast.Attribute(_name(loop), "ended", ast.Load()), [], []))
        return [ast.Assign([ast.Name(loop, ast.Store())], made), ast.Try([inner], [handler], [], []), ended]

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if node.value is None or self._returns_nothing() or self.node.returns is None:
            self.generic_visit(node)
            return node
        return ast.copy_location(ast.Return(self.module.typed(self.node.returns, self.visit(node.value))), node)

    def visit_Yield(self, node: ast.Yield) -> ast.expr:
        assert node.value is not None and self.node.returns is not None
        return ast.copy_location(ast.Yield(self.module.typed(self.node.returns, self.visit(node.value))), node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        said = ast.unparse(node.test) if node.msg is None else ast.unparse(node.msg)
        failure = ast.Raise(_runtime("Trap", ast.Constant(f"line {node.lineno}: {said}")), None)
        return ast.copy_location(ast.If(ast.UnaryOp(ast.Not(), self.visit(node.test)), [failure], []), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        assert node.value is not None
        value = self.module.typed(node.annotation, self.visit(node.value))
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        target = node.targets[0]
        node.value = self.visit(node.value)
        if isinstance(target, ast.Tuple):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else []
            if len(values) == len(target.elts):
                node.value = ast.Tuple([self._into(t, v) for t, v in zip(target.elts, values, strict=True)], ast.Load())
            node.targets = [
                ast.Tuple([t if isinstance(t, ast.Name) else self.visit(t) for t in target.elts], ast.Store())
            ]
            return node
        node.value = self._into(target, node.value)
        if not isinstance(target, ast.Name):
            node.targets = [self.visit(target)]
        return node

    def _into(self, target: ast.expr, value: ast.expr) -> ast.expr:
        """A value as what its target holds."""
        if not isinstance(target, ast.Name):
            return value
        annotation = self._kind_of(target.id)
        if annotation is not None:
            return self.module.typed(annotation, value)
        return _runtime("local", value, _lambda(_name(target.id)))

    def _kind_of(self, name: str) -> ast.expr | None:
        if name not in self.globals:
            return self.kinds.get(name)
        annotation = self.module.variables.get(name)
        return None if isinstance(annotation, ast.Name) and annotation.id == "Final" else annotation

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        operation = ast.Constant(type(node.op).__name__)
        value = self.visit(node.value)
        target: Any = node.target
        if isinstance(target, ast.Name):
            made = _runtime("augmented", operation, _name(target.id), value)
            annotation = self._kind_of(target.id)
            typed = made if annotation is None else self.module.typed(annotation, made)
            return ast.copy_location(ast.Assign([target], typed), node)
        if isinstance(target, ast.Attribute):
            call = _runtime(
                "augment_field", self.visit(target.value), ast.Constant(target.attr), operation, _lambda(value)
            )
        else:
            call = _runtime(
                "augment_item", self.visit(target.value), self.visit(target.slice), operation, _lambda(value)
            )
        return ast.copy_location(ast.Expr(call), node)
