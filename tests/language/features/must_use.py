"""A class whose objects are a duty: each is used on every way from where it was made."""

from hv.lang import Errno, Generic, TypeVar, bounded, must_use, raises, u8, u32, value

T = TypeVar("T")
done: u32 = 0


@must_use
@value
class Duty(Generic[T]):
    n: T

    def do(self) -> None:
        global done
        done += 1


def made(n: u32) -> Duty[u32]:
    return Duty[u32](n)


@raises
def checked(n: u32) -> u32:
    if n > 5:
        raise Errno.EINVAL
    return n


def taken(duty: Duty[u32]) -> u32:
    duty.do()
    return duty.n


def test_at_once() -> u32:
    made(3).do()
    return done


def calc_later(n: u8) -> u32:
    duty = made(u32(n))
    if n < 3:
        duty.do()
        return done
    return taken(duty) + done


def calc_in_a_loop(n: u8) -> u32:
    for i in bounded(u32(n % 8), 8):
        duty = made(i)
        if i == 3:
            duty.do()
            continue
        if i == 5:
            duty.do()
            break
        duty.do()
    return done


def calc_before_an_error_goes_on(n: u8) -> u32:
    try:
        return careful(u32(n))
    except Errno as e:
        return u32(e.code) + 1000 * done


@raises
def careful(n: u32) -> u32:
    duty = made(n)
    try:
        found = checked(n)
    except Errno:
        duty.do()
        raise
    duty.do()
    return found + done
