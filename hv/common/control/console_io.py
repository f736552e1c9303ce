"""Text of guests on the hypervisor's console, and what is typed there for them: console_io (public/xen.h,
CONSOLEIO_*).

`DomainConsole.lock` protects what was typed and has not been read.
"""

from hv.common.control.handle import read_guest, write_guest
from hv.common.control.hypercall import AGAIN, CONSOLE_IO, Words, failed, plain
from hv.common.kernel.console import ConsoleClient, GuestConsole
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.lib.ring import Ring
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Embedded,
    Errno,
    Extension,
    Final,
    Protocol,
    address_of,
    array,
    bounded,
    i64,
    ptr,
    raises,
    truncate,
    u8,
    u32,
    u64,
)

PART: Final = 128  # bytes that one way through the hypervisor takes
LARGEST: Final[u64] = 0x7FFF_FFFF
TYPED: Final = 256


class TypedReader(Protocol):
    def typed(self) -> None:
        """Something was typed. With the console's routing held."""
        ...


class DomainConsole(Extension[Domain], ConsoleClient):
    lock: SpinLock[Rank.VUART]
    typed: Ring[u8, TYPED]
    console: Embedded[GuestConsole]
    reader: TypedReader | None  # who takes what is typed beside console_io

    def init(self, owner: Domain) -> None:
        if not owner.config.uart:
            self.console.add(u32(owner.id), owner.name, self)

    def teardown(self, owner: Domain) -> None:
        if not owner.config.uart:
            self.console.remove()

    def deliver(self, byte: u8) -> None:
        """A byte was typed. What nobody reads is lost."""
        with self.lock:
            self.typed.put(byte)
        reader = self.reader
        if reader is not None:
            reader.typed()

    def take(self) -> u8:
        """0: nothing was typed, or it was that."""
        with self.lock:
            return self.typed.get() if len(self.typed) != 0 else 0

    def take_many(self, to: u64, most: u32) -> u32:
        """Puts what was typed to mapped memory, up to so many bytes. Returns how many."""
        with self.lock:
            count = min(most, u32(len(self.typed)))
            for i in bounded(count, TYPED):
                ptr[u8](to)[i] = self.typed.get()
            return count


class Text:
    bytes: array[u8, PART]


@plain(CONSOLE_IO)
def console_io(caller: Vcpu, words: Words) -> i64:
    """`first` is the operation, `second` a number of bytes, `third` where they are."""
    length = words.second & 0xFFFF_FFFF
    try:
        match truncate(u32, words.first):
            case 0:
                count = min(length, PART)
                write(caller, count, words.third)
                words.second = length - count
                words.third += count
                return 0 if count == length else AGAIN
            case 1:
                return read(caller, length, words.third)
            case _:
                return failed(Errno.ENOSYS)
    except Errno as e:
        return -i64(e.code)


@raises
def write(caller: Vcpu, length: u64, address: u64) -> None:
    """At most PART bytes. EFAULT."""
    text = Text()
    read_guest(caller, address, address_of(text), length)
    for i in bounded(length, PART):
        DomainConsole.of(caller.domain).console.write(text.bytes[i])


@raises
def read(caller: Vcpu, length: u64, address: u64) -> i64:
    """How many bytes were typed, as far as there is room. EFAULT. E2BIG: more than the answer could say."""
    if length > LARGEST:
        raise Errno.E2BIG
    text = Text()
    count: u64 = 0
    console = DomainConsole.of(caller.domain)
    for _ in bounded(min(length, PART), PART):
        byte = console.take()
        if byte == 0:
            break
        text.bytes[count] = byte
        count += 1
    write_guest(caller, address, address_of(text), count)
    return i64(count)
