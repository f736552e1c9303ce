"""if, conditional expressions, and, or, not, comparisons, membership."""

from hv.lang import Final, U8Enum, i32, u8, u32, u64

asked: u64 = 0


class Color(U8Enum):
    RED = 0
    GREEN = 1
    BLUE = 2


class Node:
    value: u64
    next: "Node | None"


node: Final = Node()


def ask(digit: u64, answer: bool) -> bool:
    global asked
    asked = asked * 10 + digit
    return answer


def number(x: u64) -> u64:
    global asked
    asked = asked * 10 + x
    return x


def calc_if(n: u32) -> u64:
    if n < 10:
        return 1
    elif n < 100:
        if n % 2 == 0:
            return 2
        return 3
    elif n == 100 or n > 1000:
        return 4
    return 5


def calc_conditional(a: u32, b: u32) -> u32:
    return a if a < b else b if b != 7 else 0


def calc_literal_branches(a: u8, yes: bool) -> u8:
    x = a if yes else 200
    return x + 100


def calc_literal_first(a: u8, yes: bool) -> u8:
    x = 200 if yes else a
    return x + 100


def calc_chained(a: i32, b: i32, c: i32) -> bool:
    return a < b <= c != 5


def calc_membership(n: u32) -> u64:
    return u64(n in (1, 2, 64)) + u64(n not in (0, 63, 64)) * 2


def calc_logic(a: bool, b: bool, c: bool) -> bool:
    return (a and not b) or (b and c) or not (a or c)


def test_only_what_is_needed_is_asked() -> u64:
    first = ask(1, False) and ask(2, True)
    second = ask(3, True) or ask(4, True)
    third = (ask(5, True) and ask(6, False)) or ask(7, True)
    return asked * 1000 + u64(first) * 100 + u64(second) * 10 + u64(third)


def test_chained_asks_once() -> u64:
    found = number(1) < number(5) < number(3) < number(9)
    return asked * 10 + u64(found)


def test_conditional_asks_one_branch() -> u64:
    x = number(3) if ask(1, False) else number(4)
    return asked * 10 + x


def test_short_circuit_protects() -> u64:
    following = node.next
    found = following is not None and following.value == 0
    node.next = node
    node.value = 4
    again = node.next is not None and node.next.value == 4
    return u64(found) * 10 + u64(again)


def test_or_protects() -> u64:
    node.next = None
    if node.next is None or node.next.value == 5:
        return 1
    return node.next.value


def test_enum_membership() -> u64:
    color = Color.BLUE
    return u64(color in (Color.RED, Color.BLUE)) + u64(color not in (Color.RED, Color.GREEN)) * 2


def test_text_membership() -> u64:
    word = "no-serrors"[3:]
    return u64(word in ("serrors", "panic")) + u64(word in ("a", "b")) * 2


def test_null_and_value() -> u64:
    following: Node | None = node if asked == 0 else None
    return 0 if following is None else 1


def test_bools_compare() -> u64:
    yes = asked == 0
    no = not yes
    return u64(yes == no) + u64(yes != no) * 2 + u64(yes == True) * 4  # noqa: E712


def test_assigned_in_branches() -> u64:
    x: u32 = 0
    if asked == 0:
        y: u32 = 5
        x = y
    else:
        x = 6
    return u64(x)


def test_pass() -> u64:
    if asked == 0:
        pass
    else:
        return 1
    return 2
