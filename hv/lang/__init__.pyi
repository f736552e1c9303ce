"""What mypy sees of the language's words; docs/language.md says what they mean.

Integers are `int` here: widths, conversions and kinds in operations are checked by the compiler.
`compiler/mypy_plugin.py` adds what stubs cannot say: constants between brackets, the constructors of `Bits`, and
`Const` fields that are no arguments of a value's constructor. How the words behave at run time, interpreted, is in
this package's modules.
"""

from collections.abc import Callable as Callable
from collections.abc import Iterator as Iterator
from typing import (
    Annotated,
    Any,
    ClassVar,
    Self,
    dataclass_transform,
    overload,
)
from typing import Final as Final
from typing import Generic as Generic
from typing import Never as Never
from typing import NewType as NewType
from typing import Protocol as Protocol
from typing import TypeAlias as TypeAlias
from typing import TypeVar as TypeVar

from typing_extensions import override as override

from hv.lang.enums import U8Enum as U8Enum
from hv.lang.enums import U8Flag as U8Flag
from hv.lang.enums import U16Enum as U16Enum
from hv.lang.enums import U16Flag as U16Flag
from hv.lang.enums import U32Enum as U32Enum
from hv.lang.enums import U32Flag as U32Flag
from hv.lang.enums import U64Enum as U64Enum
from hv.lang.enums import U64Flag as U64Flag

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C", bound=type[Any])
_I = TypeVar("_I", bound=int)
_V = TypeVar("_V")
_O = TypeVar("_O", contravariant=True)

# Integers

u8 = int
u16 = int
u32 = int
u64 = int
i8 = int
i16 = int
i32 = int
i64 = int
usize = int

def truncate(kind: type[_I], value: int) -> _I: ...
def leading_zeros(x: int) -> int: ...
def trailing_zeros(x: int) -> int: ...
def popcount(x: int) -> int: ...
def byteswap(x: _I) -> _I: ...

# Text

# An f-string or a str where it is passed, its pieces where it is rendered: no one type for mypy.
Message: TypeAlias = Any

# Enums, flags, bit-fields

class Field(Generic[_T]):
    @overload
    def __init__(self: Field[bool], bit: int, /) -> None: ...
    @overload
    def __init__(self: Field[int], high: int, low: int, /) -> None: ...
    @overload
    def __init__(self: Field[_V], bit: int, /, *, of: type[_V]) -> None: ...
    @overload
    def __init__(self: Field[_V], high: int, low: int, /, *, of: type[_V]) -> None: ...
    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> _T: ...
    def __set__(self, instance: object, value: _T) -> None: ...

class Bits(Generic[_T]):
    """The plugin gives each subclass a constructor that knows its fields."""

    @property
    def raw(self) -> int: ...
    @raw.setter
    def raw(self, value: int) -> None: ...

# Classes

Embedded = Annotated[_T, "lies inside its owner"]
Long = Annotated[_T, "an unsigned long: 32 bits for 32-bit callers"]
Aligned = Annotated[_T, "aligned to its size, also for 32-bit callers"]
Compat = Annotated[_T, "the form of an ABI's class for 32-bit callers"]
Const = Annotated[_T, "a generic parameter's value"]

class array(Generic[_T]):
    """`array[T, N]`: the plugin takes N away."""

    def __init__(self, *items: _T) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> _T: ...
    def __setitem__(self, index: int, value: _T) -> None: ...
    def __iter__(self) -> Iterator[_T]: ...

@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]: ...
@dataclass_transform()
def guard(cls: type[_T]) -> type[_T]: ...
def embedded(cls: _C) -> _C: ...
def extensible(cls: _C) -> _C: ...
def packed(cls: _C) -> _C: ...
def union(cls: _C) -> _C: ...
def abi(header: str, name: str) -> Callable[[_C], _C]: ...
def must_use(cls: _C) -> _C: ...
def aligned(bytes: int) -> Callable[[_C], _C]: ...

class size_of(int, Generic[_T]):
    """In bytes. The plugin reads `size_of(T)` as `size_of[T]()`: mypy knows type parameters between brackets alone."""

    def __new__(cls) -> Self: ...

class PerCpu:
    @classmethod
    def this(cls) -> Self: ...
    @classmethod
    def on(cls, cpu: int) -> Self: ...

class Extension(Generic[_O]):
    @classmethod
    def of(cls, owner: _O) -> Self: ...

def attach_percpu(cpu: int) -> None: ...
def init_extensions(owner: object) -> None: ...
def step_extensions(owner: object) -> bool: ...
def teardown_extensions(owner: object) -> None: ...

class Registry(Generic[_T]):
    def entry(self, *arguments: Any, **fields: Any) -> Callable[[_F], _F]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> _T: ...
    def __iter__(self) -> Iterator[_T]: ...
    def __call__(self, *arguments: Any, **fields: Any) -> Callable[[_F], _F]: ...

class Adapted(Registry[_T]):
    """A registry whose decorated functions an adapter makes fit."""

    def __init__(self, adapter: Callable[..., Any]) -> None: ...

class _zeroed(Generic[_T]):
    """The plugin reads `T()`, of a type parameter, as `_zeroed[T].made()`: mypy knows them between brackets alone."""

    @classmethod
    def made(cls) -> _T: ...

# Functions

def rarely(function: _F) -> _F: ...
def apart(function: _F) -> _F: ...
def test_only(function: _F) -> _F: ...
def raises(function: _F) -> _F: ...
def unbounded(reason: str) -> Callable[[_F], _F]: ...
@overload
def bounded(n: int, limit: int, /) -> Iterator[int]: ...
@overload
def bounded(start: int, stop: int, limit: int, /) -> Iterator[int]: ...
def preemptible(steps: range, progress: object) -> Iterator[int]: ...
def preemption_policy(function: _F) -> _F: ...
def widen(x: object, into: object) -> None: ...
def narrow(x: object, into: object) -> bool: ...

# Low-level words

class ptr(Generic[_T]):
    def __init__(self, address: int) -> None: ...
    @property
    def address(self) -> int: ...
    def __getitem__(self, index: int) -> _T: ...
    def __setitem__(self, index: int, value: _T) -> None: ...
    def __add__(self, n: int) -> ptr[_T]: ...
    def ref(self) -> _T: ...

def address_of(x: object) -> int: ...
def symbol(name: str) -> int: ...
def str_at(address: int, length: int) -> str: ...

class Atomic(Generic[_T]):
    def load(self) -> _T: ...
    def load_acquire(self) -> _T: ...
    def load_relaxed(self) -> _T: ...
    def store(self, value: _T) -> None: ...
    def store_release(self, value: _T) -> None: ...
    def store_relaxed(self, value: _T) -> None: ...
    def add(self, value: _T) -> _T: ...
    def sub(self, value: _T) -> _T: ...
    def or_(self, value: _T) -> _T: ...
    def and_(self, value: _T) -> _T: ...
    def exchange(self, value: _T) -> _T: ...
    def compare_exchange(self, old: _T, new: _T) -> bool: ...

def asm(template: str, *, pure: bool = False, changes: str = "", **places: str) -> Callable[[_F], _F]: ...

class SystemRegister:
    def __init__(self, name: str) -> None: ...
    def read(self) -> int: ...
    def write(self, value: int) -> None: ...

def export(function: _F) -> _F: ...
def extern(function: _F) -> _F: ...
def assembly_layout(cls: _C) -> _C: ...

# Errors

class Errno(Exception):
    code: int
    name: str
    EPERM: ClassVar[Errno]
    ENOENT: ClassVar[Errno]
    ESRCH: ClassVar[Errno]
    EINTR: ClassVar[Errno]
    EIO: ClassVar[Errno]
    ENXIO: ClassVar[Errno]
    E2BIG: ClassVar[Errno]
    ENOEXEC: ClassVar[Errno]
    EBADF: ClassVar[Errno]
    ECHILD: ClassVar[Errno]
    EAGAIN: ClassVar[Errno]
    ENOMEM: ClassVar[Errno]
    EACCES: ClassVar[Errno]
    EFAULT: ClassVar[Errno]
    ENOTBLK: ClassVar[Errno]
    EBUSY: ClassVar[Errno]
    EEXIST: ClassVar[Errno]
    EXDEV: ClassVar[Errno]
    ENODEV: ClassVar[Errno]
    ENOTDIR: ClassVar[Errno]
    EISDIR: ClassVar[Errno]
    EINVAL: ClassVar[Errno]
    ENFILE: ClassVar[Errno]
    EMFILE: ClassVar[Errno]
    ENOTTY: ClassVar[Errno]
    ETXTBSY: ClassVar[Errno]
    EFBIG: ClassVar[Errno]
    ENOSPC: ClassVar[Errno]
    ESPIPE: ClassVar[Errno]
    EROFS: ClassVar[Errno]
    EMLINK: ClassVar[Errno]
    EPIPE: ClassVar[Errno]
    EDOM: ClassVar[Errno]
    ERANGE: ClassVar[Errno]
    EDEADLK: ClassVar[Errno]
    ENAMETOOLONG: ClassVar[Errno]
    ENOLCK: ClassVar[Errno]
    ENOSYS: ClassVar[Errno]
    ENOTEMPTY: ClassVar[Errno]
    ENODATA: ClassVar[Errno]
    ETIME: ClassVar[Errno]
    EBADMSG: ClassVar[Errno]
    EOVERFLOW: ClassVar[Errno]
    EILSEQ: ClassVar[Errno]
    ERESTART: ClassVar[Errno]
    ENOTSOCK: ClassVar[Errno]
    EMSGSIZE: ClassVar[Errno]
    EOPNOTSUPP: ClassVar[Errno]
    EADDRINUSE: ClassVar[Errno]
    EADDRNOTAVAIL: ClassVar[Errno]
    ENOBUFS: ClassVar[Errno]
    EISCONN: ClassVar[Errno]
    ENOTCONN: ClassVar[Errno]
    ETIMEDOUT: ClassVar[Errno]
    ECONNREFUSED: ClassVar[Errno]
