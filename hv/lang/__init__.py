"""The words of the restricted Python, for programs that run interpreted by CPython (compiler/interpret.py loads them).

docs/language.md says what they mean; `__init__.pyi` is what mypy sees of them.
"""

from collections.abc import Iterator
from typing import Final, Never, TypeAlias

from hv.lang.arrays import array
from hv.lang.atomics import Atomic
from hv.lang.bits import Bits, Field
from hv.lang.classes import (
    Extension,
    Generic,
    PerCpu,
    Protocol,
    Registry,
    aligned,
    attach_percpu,
    embedded,
    extensible,
    guard,
    init_extensions,
    must_use,
    teardown_extensions,
    value,
)
from hv.lang.enums import U8Enum, U8Flag, U16Enum, U16Flag, U32Enum, U32Flag, U64Enum, U64Flag
from hv.lang.errno import Errno
from hv.lang.functions import (
    SystemRegister,
    asm,
    assembly_layout,
    export,
    extern,
    override,
    preemption_policy,
    raises,
    test_only,
    unbounded,
)
from hv.lang.ints import (
    NewType,
    byteswap,
    i8,
    i16,
    i32,
    i64,
    leading_zeros,
    popcount,
    trailing_zeros,
    truncate,
    u8,
    u16,
    u32,
    u64,
    usize,
)
from hv.lang.kinds import CallableWord as Callable
from hv.lang.kinds import Const, Embedded, Message, TypeVar
from hv.lang.pointers import address_of, ptr, size_of, str_at, symbol
from hv.lang.trap import Trap
from hv.lang.words import bounded, preemptible

__all__ = [
    "Atomic",
    "Bits",
    "Callable",
    "Const",
    "Embedded",
    "Errno",
    "Extension",
    "Field",
    "Final",
    "Generic",
    "Iterator",
    "Message",
    "Never",
    "NewType",
    "PerCpu",
    "Protocol",
    "Registry",
    "SystemRegister",
    "Trap",
    "TypeAlias",
    "TypeVar",
    "U8Enum",
    "U8Flag",
    "U16Enum",
    "U16Flag",
    "U32Enum",
    "U32Flag",
    "U64Enum",
    "U64Flag",
    "address_of",
    "aligned",
    "array",
    "asm",
    "assembly_layout",
    "attach_percpu",
    "bounded",
    "byteswap",
    "embedded",
    "export",
    "extensible",
    "extern",
    "guard",
    "i8",
    "i16",
    "i32",
    "i64",
    "init_extensions",
    "leading_zeros",
    "must_use",
    "override",
    "popcount",
    "preemptible",
    "preemption_policy",
    "ptr",
    "raises",
    "size_of",
    "str_at",
    "symbol",
    "teardown_extensions",
    "test_only",
    "trailing_zeros",
    "truncate",
    "u8",
    "u16",
    "u32",
    "u64",
    "unbounded",
    "usize",
    "value",
]  # fmt: skip
