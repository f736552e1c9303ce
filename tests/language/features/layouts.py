"""Layouts: packed classes, unions, and ABI classes with their form for 32-bit callers."""

from hv.lang import (
    Aligned,
    Bits,
    Compat,
    Field,
    Final,
    Long,
    NewType,
    abi,
    array,
    embedded,
    i32,
    i64,
    narrow,
    packed,
    size_of,
    u8,
    u16,
    u32,
    u64,
    union,
    widen,
)

Gfn = NewType("Gfn", u64)


class Flags(Bits[u16]):
    low = Field(7, 0)
    high = Field(15, 8)


@packed
@embedded
class Head:
    kind: u8
    length: u32
    flags: Flags


@packed
class Table:
    first: u8
    head: Head
    heads: array[Head, 3]
    words: array[u64, 2]
    last: u16


@union
@embedded
class Word:
    whole: u64
    halves: array[u32, 2]
    bytes: array[u8, 8]
    signed: i32
    head: Head


class Holder:
    tag: u32
    word: Word


@embedded
class Inner:
    small: u8
    wide: u64


@abi("none", "none")
class Reservation:
    extents: Long[u64]
    count: Long[u64]
    order: u32
    gfn: Long[Gfn]
    limits: array[Long[u64], 2]
    flags: Flags
    domid: u16
    address: u64
    inner: Inner
    bytes: Aligned[u64]
    signed: i64
    end: u8


table: Final = Table()


def test_packed_sizes() -> u64:
    return size_of(Head) * 1000 + size_of(Table)


def calc_packed_fields(n: u32) -> u64:
    table.first = 1
    table.head.length = n
    table.head.flags.high = 3
    table.head.flags.low += 2
    table.heads[1].length = n
    table.heads[1].length //= 3
    table.words[0] = u64(n) * 5
    table.words[1] += u64(n)
    table.last = 7
    sum: u64 = 0
    for word in table.words:
        sum += word
    for head in table.heads:
        sum += u64(head.length)
    return sum + u64(table.head.length) + u64(table.head.flags.raw) + u64(table.last)


def calc_union(n: u64) -> u64:
    holder = Holder()
    holder.word.whole = n
    low = holder.word.halves[0]
    holder.word.bytes[7] = 3
    high = holder.word.halves[1]
    holder.word.head.length = 9
    return holder.word.whole ^ (u64(low) << 3) ^ u64(high)


def calc_union_signed(n: u32) -> i64:
    holder = Holder()
    holder.word.halves[0] = n
    return i64(holder.word.signed)


def test_sizes_of_both_forms() -> u64:
    return size_of(Reservation) * 1000 + size_of(Compat[Reservation])


def calc_widened(n: u32, m: u64) -> u64:
    small = Compat[Reservation]()
    small.extents = n
    small.count = n // 2
    small.order = 3
    small.limits[1] = n ^ 5
    small.flags.low = 9
    small.domid = 4
    small.address = m
    small.inner.wide = m // 3
    small.bytes = m // 5
    small.signed = -5
    small.end = 1
    wide = Reservation()
    widen(small, wide)
    sum = wide.extents * 3 + wide.count * 5 + u64(wide.order) + wide.limits[1] * 7 + u64(wide.flags.low)
    return sum + u64(wide.domid) + wide.address + wide.inner.wide + wide.bytes + u64(wide.end) + u64(-wide.signed)


def calc_narrowed(n: u64, m: u64) -> u64:
    wide = Reservation()
    wide.extents = n
    wide.gfn = Gfn(m // 65536)
    wide.limits[0] = m // 65537
    wide.inner.wide = m
    small = Compat[Reservation]()
    small.inner.wide = 12
    if not narrow(wide, small):
        return 1_000_000 + small.inner.wide
    return u64(small.extents) * 3 + u64(small.limits[0]) + small.inner.wide
