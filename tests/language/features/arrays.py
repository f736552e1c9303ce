"""Arrays: of every element, checked indices, loops."""

from hv.lang import Final, U8Enum, array, i32, u8, u16, u32, u64, value

LENGTH: Final = 6
ROWS: Final[u32] = 3


class Color(U8Enum):
    RED = 0
    GREEN = 1


@value
class Pair:
    a: u8
    b: u32


class Matrix:
    cells: array[array[u16, 4], ROWS]
    colors: array[Color, LENGTH]
    pairs: array[Pair, 2]
    truths: array[bool, 3]
    signed: array[i32, 2]


class Node:
    value: u64


matrix: Final = Matrix()
nodes: Final[array[Node, 4]] = array()
SQUARES: Final[array[u32, LENGTH]] = array(0, 1, 4, 9, 16, 25)


def test_lengths() -> u64:
    n: u64 = len(matrix.cells) * 100 + len(matrix.cells[0]) * 10 + len(SQUARES)
    return n


def test_rows() -> u64:
    for i in range(3):
        for j in range(4):
            matrix.cells[i][j] = u16(i * 10 + j)
    matrix.cells[2][3] += 65_530
    total: u64 = 0
    for row in range(3):
        for cell in matrix.cells[row]:
            total = total * 7 + u64(cell)
    return total


def test_enums_and_bools() -> u64:
    matrix.colors[5] = Color.GREEN
    matrix.truths[1] = not matrix.truths[0]
    found: u64 = 0
    for i, color in enumerate(matrix.colors):
        if color == Color.GREEN:
            found = u64(i)
    return found * 10 + u64(matrix.truths[1])


def test_records() -> u64:
    matrix.pairs[1] = Pair(200, 70_000)
    pair = matrix.pairs[1]
    matrix.pairs[1] = Pair(1, 2)
    return u64(pair.a) + u64(pair.b) + u64(matrix.pairs[1].b) + u64(matrix.pairs[0].a)


def test_signed_elements() -> u64:
    matrix.signed[1] -= 5
    return u64(matrix.signed[1] == -5)


def test_objects() -> u64:
    for i in range(len(nodes)):
        nodes[i].value = u64(i) + 1
    nodes[3].value += nodes[0].value
    chosen = nodes[3]
    return chosen.value


def test_break_and_continue() -> u64:
    total: u64 = 0
    for n in SQUARES:
        if n == 4:
            continue
        if n > 9:
            break
        total = total * 10 + u64(n)
    return total


def test_changed_while_walked() -> u64:
    seen: u64 = 0
    matrix.colors[0] = Color.RED
    matrix.colors[1] = Color.RED
    for i, color in enumerate(matrix.colors):
        if i == 0:
            matrix.colors[1] = Color.GREEN
        if i == 1:
            seen = u64(color)
    return seen


def test_index_of_any_width() -> u64:
    a: u8 = 2
    b: u64 = 3
    c: i32 = 4
    return u64(SQUARES[a] + SQUARES[b] + SQUARES[c])


def calc_read(i: u64) -> u64:
    return u64(SQUARES[i])


def calc_read_signed(i: i32) -> u64:
    return u64(SQUARES[i])


def calc_write(i: u8, x: u16) -> u64:
    matrix.cells[1][i] = x
    return u64(matrix.cells[1][i])


def calc_two_indices(i: u32, j: u32) -> u64:
    return u64(matrix.cells[i][j])


def trap_just_beyond() -> u64:
    i = len(SQUARES) + u32(0)
    return u64(SQUARES[i])


class Rows:
    cells: array[u16, 3]


class Pair2:
    left: Rows
    right: Rows


rows: Final[array[Rows, 3]] = array()
pair: Final = Pair2()


def test_what_is_walked_is_chosen_once() -> u64:
    for i, row in enumerate(rows):
        for j in range(3):
            row.cells[j] = u16(i * 3 + j)
    chosen = rows[1]
    which: u32 = 0
    total: u64 = 0
    for cell in chosen.cells:
        chosen = rows[2]
        total = total * 10 + u64(cell)
    for cell in rows[which].cells:
        which = 2
        total = total * 10 + u64(cell)
    pair.left = rows[0]
    for cell in pair.left.cells:
        pair.left = rows[2]
        total = total * 10 + u64(cell)
    return total
