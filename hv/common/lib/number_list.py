"""Lists of numbers as people read them; `parse.cpu_list` reads the same."""

from hv.common.lib.bitmap import Bitmap
from hv.common.lib.text import TextBuffer
from hv.lang import TypeVar

W = TypeVar("W", bound=int)
N = TypeVar("N", bound=int)


def spell(numbers: Bitmap[W], text: TextBuffer[N]) -> None:
    """As ranges: 0-3,6."""
    for number in numbers:
        before = number != 0 and numbers.test(number - 1)
        behind = number + 1 < numbers.size and numbers.test(number + 1)
        if not before:
            if text.length != 0:
                text.put(",")
            text.write(f"{number}")
        elif not behind:
            text.write(f"-{number}")
