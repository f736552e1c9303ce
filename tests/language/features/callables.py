"""Functions as values: fields, variables, tables, parameters."""

from hv.lang import Callable, Final, array, u32, u64, value


def double(x: u32) -> u32:
    return x * 2


def square(x: u32) -> u32:
    return x * x


def note(x: u64) -> None:
    global noted
    noted = noted * 10 + x


noted: u64 = 0


class Timer:
    handler: Callable[[u64], None]
    deadline: u64

    def fire(self) -> None:
        self.handler(self.deadline)


class Owner:
    maybe: Callable[[u32], u32] | None


@value
class Step:
    name: str
    run: Callable[[u32], u32]


STEPS: Final[array[Step, 3]] = array(Step("double", double), Step("square", square), Step(run=double, name="again"))
TABLE: Final[array[Callable[[u32], u32], 2]] = array(square, double)
timer: Final = Timer()
owner: Final = Owner()


def twice(operation: Callable[[u32], u32], x: u32) -> u32:
    return operation(operation(x))


def chosen(big: bool) -> Callable[[u32], u32]:
    return square if big else double


def test_field() -> u64:
    timer.handler = note
    timer.deadline = 7
    timer.fire()
    timer.handler(3)
    return noted


def test_parameter() -> u64:
    return u64(twice(square, 3)) + u64(twice(double, 0x8000_0001))


def test_result() -> u64:
    operation = chosen(True)
    return u64(operation(9)) + u64(chosen(False)(4))


def test_table_of_records() -> u64:
    x: u32 = 3
    letters: u64 = 0
    for step in STEPS:
        x = step.run(x)
        letters += len(step.name)
    return u64(x) * 100 + letters


def test_table_of_functions() -> u64:
    return u64(TABLE[0](5)) * 100 + u64(TABLE[1](5))


def test_null_function() -> u64:
    before = owner.maybe is None
    owner.maybe = double
    found = owner.maybe
    return u64(before) * 100 + (0 if found is None else u64(found(21)))


def test_compared() -> bool:
    return chosen(True) is square


def calc_chosen(big: bool, x: u32) -> u32:
    operation = chosen(big)
    return operation(x)
