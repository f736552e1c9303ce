# refuse: 6: Message has no `size`
from hv.lang import Message


def f(m: Message) -> None:
    x = m.size(5)
