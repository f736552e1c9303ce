"""The hypervisor's command line, in Xen's grammar: words between spaces, each `name`, `name=value` or `no-name`.

Options are registered in `options`. A word that no option answers to is reported, and a value that its option does not
understand; the rest of the line counts all the same.
"""

from hv.common.kernel import log
from hv.common.kernel.options import options
from hv.common.lib.parse import Fields, find
from hv.lang import U8Enum


class Answer(U8Enum):
    UNKNOWN = 0
    TAKEN = 1
    REFUSED = 2


def read_command_line(line: str) -> None:
    for word in Fields(line, " "):
        if len(word) != 0:
            _read(word)


def _read(word: str) -> None:
    end = find(word, ord("="))
    name = word[:end]
    value = "" if end == len(word) else word[end + 1 :]
    answer = _offer(name, value)
    if answer == Answer.UNKNOWN and end == len(word) and word.startswith("no-"):
        answer = _offer(word[3:], "no")
    if answer == Answer.UNKNOWN:
        log.warning(f'unknown option "{name}"')
    elif answer == Answer.REFUSED:
        log.warning(f'option "{word}" has a value that it cannot take')


def _offer(name: str, value: str) -> Answer:
    for option in options:
        if option.name == name:
            return Answer.TAKEN if option.apply(value) else Answer.REFUSED
    return Answer.UNKNOWN
