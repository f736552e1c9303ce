"""The hypervisor's log: lines on the console, by level, and limited in number where a guest can cause them.

`loglvl=` chooses the least level that is printed: none, error, warning, info or debug (all is debug). `guest_loglvl=`
does so for lines that guests cause.
"""

from hv.arch import now
from hv.common.kernel.console import console
from hv.common.kernel.options import options
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.kernel.time import SECOND, Ns
from hv.lang import Errno, Final, Message, U8Enum, array, embedded, raises, u8, u32

LINES_PER_SECOND: Final = 20
NAMES: Final[array[str, 5]] = array("none", "error", "warning", "info", "debug")


class Level(U8Enum):
    NONE = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    DEBUG = 4


threshold: Level = Level.INFO
guest_threshold: Level = Level.WARNING


def error(message: Message) -> None:
    """Something that was asked for could not be done."""
    _print(Level.ERROR, message)


def warning(message: Message) -> None:
    """Something was ignored or done otherwise than asked."""
    _print(Level.WARNING, message)


def info(message: Message) -> None:
    _print(Level.INFO, message)


def debug(message: Message) -> None:
    _print(Level.DEBUG, message)


@embedded
class RateLimit:
    """So many lines in a second, and a count of those left out. The console's lock protects it."""

    second: Ns  # when the second that is counted began
    printed: u32
    left_out: u32

    def admit(self, held: Held[Rank.CONSOLE], at: Ns) -> bool:
        """Whether another line may be printed; when one may that follows left-out ones, says how many they were."""
        if at - self.second >= SECOND:
            self.second = at
            self.printed = 0
        if self.printed == LINES_PER_SECOND:
            self.left_out += 1
            return False
        self.printed += 1
        if self.left_out != 0:
            console.print_line(held, f"{self.left_out} lines about guests were left out")
            self.left_out = 0
        return True


class GuestLines:
    limit: RateLimit


guest_lines: Final = GuestLines()


def guest(message: Message, level: Level = Level.WARNING) -> None:
    """A line that a guest caused, and could cause again and again: at most 20 a second are printed, of all guests."""
    limited(guest_lines.limit, message, level)


def limited(limit: RateLimit, message: Message, level: Level = Level.WARNING) -> None:
    """As `guest`, with a limit of the caller's own, such as one for each domain."""
    if u8(level) > u8(guest_threshold):
        return
    with console.lock as held:
        if limit.admit(held, now()):
            console.print_line(held, message)


def _print(level: Level, message: Message) -> None:
    if u8(level) <= u8(threshold):
        console.print(message)


@raises
def level_named(text: str) -> Level:
    """EINVAL: no level is called so."""
    if text == "all":
        return Level.DEBUG
    for i, name in enumerate(NAMES):
        if text == name:
            return Level(i)
    raise Errno.EINVAL


@options.entry(name="loglvl")
def loglvl(text: str) -> bool:
    global threshold
    try:
        threshold = level_named(text)
    except Errno:
        return False
    return True


@options.entry(name="guest_loglvl")
def guest_loglvl(text: str) -> bool:
    global guest_threshold
    try:
        guest_threshold = level_named(text)
    except Errno:
        return False
    return True
