"""Bits: a value over one integer, with named fields."""

from hv.lang import Bits, Field, Final, U8Enum, array, u8, u16, u32, u64, value


class LrState(U8Enum):
    INVALID = 0
    PENDING = 1
    ACTIVE = 2
    BOTH = 3


class Mode(U8Enum):
    EL0 = 0
    EL1 = 5


class ListRegister(Bits[u64]):
    """ICH_LR<n>_EL2 (Arm IHI 0069, 12.4.9)."""

    virtual_id = Field(31, 0)
    physical_id = Field(44, 32)
    priority = Field(55, 48)
    group1 = Field(60)
    hardware = Field(61)
    state = Field(63, 62, of=LrState)


class Status(Bits[u8]):
    mode = Field(2, 0, of=Mode)
    masked = Field(7)
    spare = Field(6, 3)


class Whole(Bits[u32]):
    all = Field(31, 0)


class Half(Bits[u16]):
    low = Field(7, 0, of=u8)
    high = Field(15, 8)


class Interface:
    registers: array[ListRegister, 4]
    status: Status


@value
class Saved:
    register: ListRegister
    n: u32


EMPTY: Final = ListRegister(0)
interface: Final = Interface()


def raised(lr: ListRegister) -> ListRegister:
    lr.priority = lr.priority + 1
    return lr


def test_fields_are_read() -> u64:
    lr = ListRegister(0xD0A8_0005_0000_001B)
    number = lr.virtual_id + lr.priority * 0x100 + lr.physical_id * 0x1_0000
    return number + u64(lr.group1) * 0x100_0000 + u64(lr.state) * 0x1000_0000


def test_made_by_fields() -> u64:
    return ListRegister(virtual_id=27, state=LrState.BOTH, group1=True, priority=0xA0).raw


def test_made_by_no_field() -> u64:
    return ListRegister().raw + EMPTY.raw


def test_fields_are_written() -> u64:
    lr = ListRegister(0)
    lr.state = LrState.PENDING
    lr.group1 = True
    lr.hardware = not lr.group1
    lr.physical_id = 0x1FFF
    lr.virtual_id = 0xFFFF_FFFF
    lr.virtual_id -= 5
    lr.group1 = False
    return lr.raw


def test_copied_on_assignment() -> u64:
    first = ListRegister(virtual_id=1)
    second = first
    second.virtual_id = 2
    return first.virtual_id * 10 + second.virtual_id


def test_copied_when_passed() -> u64:
    lr = ListRegister(priority=4)
    higher = raised(lr)
    return lr.priority * 10 + higher.priority


def test_inside_objects() -> u64:
    interface.registers[2].virtual_id = 40
    interface.registers[2].state = LrState.ACTIVE
    interface.status.masked = True
    copy = interface.registers[2]
    copy.virtual_id = 41
    interface.registers[3] = copy
    copy.virtual_id = 42
    total: u64 = 0
    for lr in interface.registers:
        total = total * 64 + lr.virtual_id
    return total + u64(interface.status.raw) * 0x1000_0000


def test_inside_records() -> u64:
    lr = ListRegister(virtual_id=9)
    saved = Saved(lr, 3)
    lr.virtual_id = 10
    return saved.register.virtual_id * 100 + u64(saved.n) + lr.virtual_id


def test_raw_is_assigned() -> u64:
    lr = ListRegister(5)
    lr.raw = lr.raw + 0x1_0000_0000
    lr.raw |= 2
    return lr.physical_id * 100 + lr.virtual_id


def test_equal() -> u64:
    a = ListRegister(virtual_id=3)
    b = ListRegister(3)
    c = ListRegister(virtual_id=3, group1=True)
    return u64(a == b) + u64(a != c) * 2


def test_field_of_the_whole_width() -> u64:
    whole = Whole(all=0xFFFF_FFFF)
    whole.all += 2
    return u64(whole.raw)


def test_field_of_a_small_integer() -> u64:
    half = Half(low=200, high=3)
    low: u8 = half.low
    half.low = low + 100
    return u64(half.raw)


def calc_made(x: u64, y: u8) -> u64:
    return ListRegister(virtual_id=x, priority=u64(y)).raw


def calc_written(x: u8, spare: u8) -> u64:
    status = Status(x)
    status.spare = spare
    return u64(status.raw)


def calc_enum_field(x: u8) -> u64:
    return u64(Status(x).mode)


def calc_read(x: u64) -> u64:
    lr = ListRegister(x)
    return (lr.virtual_id ^ lr.physical_id) + lr.priority + u64(lr.hardware) + u64(lr.state)


def trap_value_that_does_not_fit() -> u64:
    lr = ListRegister(0)
    n: u64 = 256
    lr.priority = n
    return lr.raw
