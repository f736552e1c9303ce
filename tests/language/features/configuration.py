"""Configuration symbols fold: conditions in functions and around declarations."""

# What is folded away may name what does not exist.
# ruff: noqa: F821

from hv.config import CONFIG_ABSENT, CONFIG_LABEL, CONFIG_LIMIT, CONFIG_PRESENT
from hv.lang import Final, array, u32, u64

if CONFIG_PRESENT:
    from hv.lang import u8

    WIDTH: Final = 5

    def chosen() -> u64:
        return 1

else:
    WIDTH: Final = 6

    def chosen() -> u64:
        return missing_name


if CONFIG_ABSENT:
    from hv.nowhere import nothing

    class Machine:
        field: Unknown

elif CONFIG_PRESENT:

    class Machine:
        size: u8


machine: Final = Machine()
table: Final[array[u32, CONFIG_LIMIT]] = array()


def test_chosen_declarations() -> u64:
    machine.size = WIDTH
    return chosen() * 100 + u64(machine.size)


def test_symbol_in_expressions() -> u64:
    n: u32 = CONFIG_LIMIT
    return u64(n) * 2 + len(table) + len(CONFIG_LABEL)


def test_folded_branches() -> u64:
    found: u64 = 0
    if CONFIG_ABSENT:
        found = nothing.here
    elif not CONFIG_PRESENT:
        found = 1
    else:
        found = 2
    if CONFIG_PRESENT and not CONFIG_ABSENT:
        found += 10
    if CONFIG_ABSENT or CONFIG_PRESENT:
        found += 100
    return found


def test_folded_conditional_expression() -> u64:
    x: u64 = 5 if CONFIG_ABSENT else 6
    return x


def test_text_symbol() -> bool:
    return CONFIG_LABEL == "lab"
