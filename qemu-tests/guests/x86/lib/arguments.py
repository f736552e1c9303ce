"""The guest's command line, by its start information: words of the form name=number."""

from hv.common.lib.parse import Fields, number
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, raises, u64

INFORMATION_BYTES: Final[u64] = 56
COMMAND_LINE: Final[u64] = 24  # cmdline_paddr of hvm_start_info (public/arch-x86/hvm/start_info.h)
LONGEST: Final[u64] = 256


def argument(information: u64, name: str, otherwise: u64) -> u64:
    """`otherwise`: what counts when the command line does not say."""
    try:
        return _argument(information, name, otherwise)
    except Errno:
        return otherwise


@raises
def _argument(information: u64, name: str, otherwise: u64) -> u64:
    place = Bytes(information, INFORMATION_BYTES).le64(COMMAND_LINE)
    if place == 0:
        return otherwise
    line = Bytes(place, LONGEST).string(0)
    for word in Fields(line, " "):
        if word.startswith(name) and len(word) > len(name) and word[len(name)] == "=":
            return number(word[len(name) + 1 :])
    return otherwise
