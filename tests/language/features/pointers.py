"""Pointers: at arrays, at objects, at text."""

from hv.lang import Final, address_of, array, ptr, size_of, str_at, u8, u16, u32, u64

words: Final[array[u32, 8]] = array()
bytes: Final[array[u8, 16]] = array()
halves: Final[array[u16, 4]] = array()


class Node:
    id: u32
    inner: array[u64, 2]


class Window:
    base: ptr[u32]
    length: u32


nodes: Final[array[Node, 3]] = array()
node: Final = Node()
window: Final = Window()


def total(numbers: ptr[u32], n: u32) -> u64:
    found: u64 = 0
    for i in range(8):
        if i < n:
            found += u64(numbers[i])
    return found


def test_reads_and_writes() -> u64:
    p = ptr[u32](address_of(words))
    p[3] = 40
    p[7] = p[3] + 2
    words[0] = 100
    return u64(p[0]) * 10_000 + u64(words[3]) * 100 + u64(words[7])


def test_arithmetic() -> u64:
    p = ptr[u32](address_of(words)) + 2
    q = p + 3
    q[0] = 77
    return u64(words[5]) * 1000 + (q.address - p.address) * 10 + (p.address - address_of(words))


def test_address_of_an_element_by_arithmetic() -> u64:
    p = ptr[u16](address_of(halves) + size_of(u16) * 3)
    p[0] = 9
    return u64(halves[3])


def test_reference_behind() -> u64:
    node.id = 3
    again = ptr[Node](address_of(node)).ref()
    again.id += 5
    return u64(node.id) * 10 + u64(again is node)


def test_text_of_bytes() -> u64:
    bytes[4] = ord("x")
    bytes[5] = ord("e")
    bytes[6] = ord("n")
    text = str_at(address_of(bytes) + 4, 3)
    return u64(text == "xen") * 1000 + len(text) * 10 + u64(text.startswith("xe"))


def test_fields_and_parameters() -> u64:
    words[1] = 5
    words[2] = 6
    window.base = ptr[u32](address_of(words))
    window.length = 3
    window.base[0] = 1
    return total(window.base, window.length) + total(window.base + 1, 1) * 100


def test_addresses_differ() -> bool:
    return address_of(words) != address_of(bytes) and address_of(node) == address_of(node)


def calc_write(i: u8, x: u32) -> u64:
    p = ptr[u32](address_of(words))
    p[i % 8] = x
    return u64(words[i % 8] + 1)
