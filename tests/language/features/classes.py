"""Plain classes: references, null, methods, properties, static methods, objects on the stack."""

from hv.lang import Final, array, u8, u32, u64


class Domain:
    id: u32
    next: "Domain | None"
    pages: u64
    paused: bool

    def init(self, id: u32, pages: u64 = 16) -> None:
        self.id = id
        self.pages = pages

    @property
    def bytes(self) -> u64:
        return self.pages << 12

    @property
    def following(self) -> "Domain | None":
        return self.next

    @staticmethod
    def limit(scale: u32) -> u32:
        return scale * 100

    def take(self, n: u64) -> bool:
        if self.pages < n:
            return False
        self.pages -= n
        return True

    def last_id(self) -> u32:
        return self.id if self.next is None else self.next.id


class Counter:
    count: u8

    def step(self) -> u8:
        self.count += 1
        return self.count


class Empty:
    def answer(self) -> u64:
        return 42


first: Final = Domain()
second: Final = Domain()
third: Final = Domain()
counter: Final = Counter()
slots: Final[array[Domain | None, 3]] = array()


def change(domain: Domain) -> None:
    domain.pages = 99


def pick(which: u32) -> Domain | None:
    if which == 0:
        return None
    return first if which == 1 else second


def same(a: Domain, b: Domain | None) -> bool:
    return a is b


def test_defaults_and_names() -> u64:
    first.init(3)
    second.init(pages=1 << 20, id=4)
    return first.pages + second.pages + u64(first.id) * 10 + u64(second.id)


def test_references_share() -> u64:
    domain = first
    domain.pages = 5
    change(domain)
    return first.pages


def test_identity() -> u64:
    domain = second
    return u64(domain is second) + u64(domain is first) * 2 + u64(domain is not first) * 4 + u64(same(first, None)) * 8


def test_null_paths() -> u64:
    first.next = second
    second.next = None
    total: u64 = 0
    if first.next is not None:
        first.next.pages = 7
        total += first.next.pages
        if first.next.next is None:
            total += 100
    if second.next is None or second.next.pages > 0:
        total += 1000
    return total


def test_null_result() -> u64:
    found = pick(0)
    total: u64 = 0 if found is None else 1
    found = pick(2)
    if found is None:
        return 999
    found.pages = 8
    return total + second.pages


def test_early_return_narrows() -> u64:
    domain = pick(1)
    if domain is None:
        return 0
    domain.next = pick(2)
    following = domain.following
    assert following is not None
    following.id = 77
    return u64(domain.last_id())


def test_stays_narrowed_until_assigned() -> u64:
    first.next = second
    second.next = third
    third.pages = 3
    node: Domain | None = first
    steps: u64 = 0
    for _ in range(5):
        if node is None:
            break
        steps += 1
        node = node.next
    return steps


def test_properties() -> u64:
    first.pages = 3
    return first.bytes + u64(first.following is None)


def test_static_methods() -> u64:
    return u64(Domain.limit(5)) + u64(first.limit(scale=2))


def test_methods_return() -> u64:
    first.pages = 10
    return u64(first.take(4)) + u64(first.take(7)) * 2 + first.pages * 10


def test_order_of_calls() -> u64:
    return u64(counter.step()) * 100 + u64(counter.step()) * 10 + u64(counter.step())


def test_order_of_arguments() -> u64:
    second.init(u32(counter.step()), u64(counter.step()))
    return u64(second.id) * 10 + second.pages


def test_field_is_read_before_the_call_changes_it() -> u64:
    counter.count = 5
    return u64(counter.count) * 100 + u64(counter.step()) * 10 + u64(counter.count)


def test_stack_object() -> u64:
    domain = Domain()
    start = domain.pages + u64(domain.id) + u64(domain.next is None)
    domain.init(6)
    change(domain)
    return start * 1000 + domain.pages + u64(domain.id)


def test_stack_object_is_new_each_time() -> u64:
    total: u64 = 0
    for i in range(3):
        made = Counter()
        made.step()
        total += u64(made.step()) + u64(i)
    return total


def test_class_without_fields() -> u64:
    made = Empty()
    return made.answer()


def test_references_in_a_table() -> u64:
    slots[1] = second
    second.pages = 44
    found = slots[1]
    total: u64 = 0
    for slot in slots:
        if slot is None:
            total += 1
    return total * 100 + (0 if found is None else found.pages)


def test_swapped() -> u64:
    a: Domain | None = first
    b: Domain | None = None
    keep = a
    a = b
    b = keep
    return u64(a is None) + u64(b is first) * 2


def calc_take(pages: u64, n: u64) -> u64:
    domain = Domain()
    domain.init(0, pages)
    return u64(domain.take(n)) + domain.pages * 2


def calc_overflowing_field(a: u8, b: u8) -> u64:
    made = Counter()
    made.count = a
    made.count -= b
    made.count *= 3
    made.count <<= 1
    return u64(made.step())


def move_first() -> u64:
    first.next = third
    return 5


def test_augmented_target_is_chosen_before_the_value() -> u64:
    second.pages = 10
    third.pages = 20
    first.next = second
    if first.next is None:
        return 0
    first.next.pages += move_first()
    return second.pages * 100 + third.pages


def test_augmented_value_is_read_before_the_call() -> u64:
    counter.count = 1
    counter.count += counter.step()
    return u64(counter.count)


def bump() -> u32:
    global position
    position += 1
    return position


position: u32 = 0
table: Final[array[u32, 8]] = array()


def test_augmented_element_is_chosen_before_the_value() -> u64:
    global position
    position = 0
    table[position] += bump()
    table[bump()] += 10
    table[bump()] = bump()
    return u64(table[0]) + u64(table[1]) * 10 + u64(table[2]) * 100 + u64(table[4]) * 10_000 + u64(position)


def test_value_is_computed_before_the_target() -> u64:
    first.next = second
    second.pages = 1
    third.pages = 2
    first.next.pages = move_first()
    return second.pages * 10 + third.pages
