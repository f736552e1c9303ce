"""Lowers one Cython text, as the front end writes it, to C that needs no Python runtime.

Cython 3.3.1 parses and types the text; of its pipeline only the passes that plain C code needs are run. In
particular nothing removes unreachable code or folds constants: a statement behind a `return` may be reached
through a label macro, and C should compute with the types that the front end has chosen. In place of Cython's
module writer, which would add import machinery, this one writes `#include` of the generated header and the function
bodies, nothing else: every type, global and prototype lives in the header.

Invariants of the output: a module-level function has its Cython name and external linkage; a local keeps its
name unless C or the module already uses it (then `name_`, `name__`, ...); one physical C line holds what came from
one Python line, and `#line` directives name that line; no identifier belongs to CPython or to Cython's runtime.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache
from io import StringIO
from typing import Any

import Cython
from Cython.Compiler import Code, Errors, Nodes, Options, Parsing, Pipeline
from Cython.Compiler.Main import Context
from Cython.Compiler.ParseTreeTransforms import (
    AnalyseDeclarationsTransform,
    AnalyseExpressionsTransform,
    ForwardDeclareTypes,
    GilCheck,
    InterpretCompilerDirectives,
    NormalizeTree,
)
from Cython.Compiler.Scanning import PyrexScanner, StringSourceDescriptor
from Cython.Compiler.StringEncoding import EncodedString

from compiler.cython_nodes import OwnNodes

CYTHON_VERSION = "3.3.1"

LineMap = list[tuple[str, int] | None]

DIRECTIVES = {
    "language_level": 3,
    "cdivision": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "overflowcheck": False,
    "emit_code_comments": False,
    "binding": False,
    "embedsignature": False,
}

# What a local may not be called in C although Python allows it: keywords, and what hv.h or the prologue may define.
RESERVED = frozenset(
    """
    auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    asm typeof true false bool NULL likely unlikely linux unix i386 errno
    """.split()  # noqa: SIM905 - a list of forty quoted words does not read
)

# The bodies may declare more than they use, and parenthesise every operation: `if ((a == b))`.
PROLOGUE = """\
#include "{header}"
#ifndef NULL
#define NULL ((void *)0)
#endif
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-label"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wparentheses-equality"
#endif
"""

_RUNTIME_NAME = re.compile(r"\b(?:Py[A-Z_]\w*|_Py_\w+|__Pyx_\w+|CYTHON_\w+|__pyx_(?!t_\d|L\d)\w+)")
_STRING = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)'""")


class BackendError(Exception):
    """A text that cannot become freestanding C; `file` and `line` are the Python source's."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(file, line, message)
        self.file = file
        self.line = line
        self.message = message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class _Literal:
    """A string constant whose C name is the literal itself."""

    def __init__(self, text: Any) -> None:
        self.cname: str = text.as_c_string_literal()


class _Globals(Code.GlobalState):
    """Collects nothing: utility code is dropped, and whatever would have called it is refused later."""

    def use_utility_code(self, utility_code: Any, used_by: Any = None) -> None:
        pass

    def get_string_const(self, text: Any, c_used: bool = True) -> _Literal:
        return _Literal(text)


class _Where:
    """Maps lines of the Cython text to lines of Python files."""

    def __init__(self, name: str, line_map: LineMap | None) -> None:
        self.name = name
        self.lines: list[tuple[str, int]] | None = None
        if line_map is not None:
            here = (f"{name}.pyx", 1)
            self.lines = [here := entry or here for entry in line_map]

    def __call__(self, line: int) -> tuple[str, int]:
        if self.lines is None:
            return f"{self.name}.pyx", line
        return self.lines[min(max(line, 1), len(self.lines)) - 1] if self.lines else (f"{self.name}.pyx", line)


def lower(
    text: str,
    name: str,
    line_map: LineMap | None = None,
    header: str = "hv.h",
    reserved: Collection[str] = (),
) -> str:
    """The C of one module.

    `line_map[i]` is the Python file and line that line i+1 of the text came from, None for the same as before.
    `reserved` are further names, such as macros of the header, that no local may have. Raises BackendError.
    """
    if Cython.__version__ != CYTHON_VERSION:
        raise RuntimeError(
            f"the compiler's back end uses internals of Cython {CYTHON_VERSION}, found {Cython.__version__}: "
            f"install Cython=={CYTHON_VERSION}"
        )
    where = _Where(name, line_map)
    return PROLOGUE.format(header=header) + _lines(_compile(text, name, where, RESERVED.union(reserved)), where)


@cache
def _context() -> Any:
    """One Cython context for the process; its builtin scopes are only read by this subset of the language."""
    directives = {**Options.get_directive_defaults(), **DIRECTIVES}
    options = Options.CompilationOptions(Options.default_options, compiler_directives=directives, language_level=3)
    return Context.from_options(options)


def _compile(text: str, name: str, where: _Where, reserved: frozenset[str]) -> Any:
    """The buffer with the module's C. The first error that Cython reports is raised as BackendError."""
    context = _context()
    module_name = EncodedString(name)
    source = StringSourceDescriptor(name, text)

    def parse(_: object) -> Any:
        scope = context.find_submodule(module_name)
        scope.pxd_file_loaded = True
        scanner = PyrexScanner(StringIO(text), source, source_encoding="UTF-8", scope=scope, context=context)
        tree = Parsing.p_module(scanner, False, module_name)
        tree.scope, tree.is_pxd, tree.compilation_source = scope, False, None
        return tree

    def stop_on_errors(tree: Any) -> Any:
        if errors:
            raise Errors.AbortError("errors reported")
        return tree

    passes = [
        parse,
        NormalizeTree(context),
        OwnNodes(context),
        InterpretCompilerDirectives(context, context.compiler_directives),
        ForwardDeclareTypes(context),
        AnalyseDeclarationsTransform(context),
        stop_on_errors,
        AnalyseExpressionsTransform(context),
        GilCheck(),
        stop_on_errors,
        lambda module: _write(module, where, reserved),
    ]
    Errors.reset()
    Errors.open_listing_file(None, echo_to_stderr=False)
    errors = Errors.hold_errors()
    try:
        failure, result = Pipeline.run_pipeline(passes, None)
    finally:
        Errors.release_errors(ignore=True)
        Errors.reset()
        context.modules.pop(module_name, None)
    if failure is not None and not isinstance(failure, Errors.AbortError):
        errors.append(failure)
    for error in errors:
        line = error.position[1] if error.position else 1
        message = f"{error.message_only.strip()}, in the lowered line `{source.codelines[line - 1].strip()}`"
        raise BackendError(*where(line), message)
    return result


def _functions(module: Any, where: _Where) -> Iterator[Any]:
    """The functions that the module defines, in the order of the text."""
    pending = [module.body]
    while pending:
        node = pending.pop()
        if isinstance(node, Nodes.StatListNode):
            pending.extend(reversed(node.stats))
        elif isinstance(node, Nodes.CompilerDirectivesNode):
            pending.append(node.body)
        elif isinstance(node, Nodes.CFuncDefNode):
            yield node
        elif not isinstance(node, Nodes.CDefExternNode):
            raise BackendError(*where(node.pos[1]), "a module holds `cdef extern` blocks and cdef functions only")


def _name_as_in_source(function: Any, taken: Collection[str]) -> None:
    """Undoes Cython's mangling of the function's own name and of its arguments and locals."""
    function.entry.cname = function.entry.func_cname = function.entry.name
    used = set(taken)
    arguments = {argument.name: argument for argument in function.type.args}
    for name, entry in function.local_scope.entries.items():
        cname = name
        while cname in used:
            cname += "_"
        used.add(cname)
        entry.cname = cname
        if entry.is_arg:
            arguments[name].cname = cname


def _write(module: Any, where: _Where, reserved: frozenset[str]) -> Any:
    """A buffer with the C of the functions; its markers hold the text's line for each line of C."""
    writer = Code.CCodeWriter()
    globals_ = _Globals(writer, module, Code.CCodeConfig(emit_linenums=False, emit_code_comments=False))
    globals_.directives = module.directives
    functions = list(_functions(module, where))
    taken = reserved.union(module.scope.entries)
    for function in functions:
        _name_as_in_source(function, taken)
    for function in functions:
        try:
            _write_function(function, writer)
        except (AttributeError, TypeError, LookupError, AssertionError) as error:
            message = f"Cython cannot generate the function {function.entry.name}: {error!r}"
            raise BackendError(*where(function.pos[1]), message) from error
    return writer.buffer


def _write_function(function: Any, writer: Any) -> None:
    scope = function.local_scope
    writer.enter_cfunc_scope(scope)
    writer.funcstate.gil_owned = False
    writer.mark_pos(function.pos)
    parameters = ", ".join(argument.declaration_code() for argument in function.type.args) or "void"
    head = function.type.function_header_code(function.entry.name, parameters)
    writer.putln(function.return_type.declaration_code(head) + " {")
    for entry in scope.var_entries:
        if entry.used and not entry.is_arg:
            writer.putln(entry.type.declaration_code(entry.cname) + ";")
    temporaries = writer.insertion_point()
    function.body.generate_execution_code(writer)
    writer.putln("}")
    temporaries.put_temp_declarations(writer.funcstate)
    writer.exit_cfunc_scope()


def _lines(buffer: Any, where: _Where) -> str:
    """The C text, one line for each stretch of code from one Python line, with `#line` where the count breaks."""
    out: list[str] = []
    position = ("", 0)
    for line, (_, marker) in zip(buffer.getvalue().split("\n"), buffer.allmarkers(), strict=False):
        code = line.strip()
        if not code:
            continue
        origin = where(marker)
        if match := _RUNTIME_NAME.search(_STRING.sub("", code)):
            raise BackendError(*origin, f"needs the Python runtime ({match[0]}): give every value a C type")
        if origin == position:
            out[-1] += " " + code
            continue
        file, number = position
        if origin != (file, number + 1):
            out.append(f'#line {origin[1]} "{origin[0]}"')
        out.append(line.rstrip())
        position = origin
    return "\n".join(out) + "\n"
