"""Names of other modules: functions, classes, constants, variables, modules themselves."""

from hv.lang import Final, u32, u64
from tests.language.features import import_parts
from tests.language.features.import_parts import LIMIT, Shape, Thing, current, make, shapes, thing
from tests.language.features.import_parts import total as sum_of

own: Final = Thing()


def test_functions() -> u64:
    return sum_of(3, 4) + import_parts.total(5, 6)


def test_classes() -> u64:
    own.size = LIMIT
    made = Thing()
    made.grow(3)
    return u64(own.size) + u64(made.size)


def test_constants() -> u64:
    n: u32 = import_parts.LIMIT
    return u64(n) + u64(shapes[1]) + u64(Shape.ROUND) + u64(import_parts.Shape.SQUARE)


def test_variables_are_shared() -> u64:
    before = current
    make(7)
    import_parts.make(8)
    after = current
    return u64(before) * 100 + u64(after) * 10 + u64(import_parts.current)


def test_objects_are_shared() -> u64:
    thing.grow(2)
    import_parts.thing.grow(3)
    return u64(thing.size) + u64(thing is import_parts.thing) * 100


def test_match_on_imported_members() -> u64:
    match import_parts.chosen():
        case Shape.SQUARE:
            return 1
        case import_parts.Shape.ROUND:
            return 2
