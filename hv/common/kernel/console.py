"""The console: one serial line that the hypervisor and its guests share, or several devices that show the same.

Whole lines are printed, each with a prefix that says whose it is: `(hv) ` or `(d1 linux1) `. The guest that has the
input focus is the exception: what it writes goes out at once, so that prompts and the echo of what is typed appear.
When its unfinished line stands on the screen and another source has a line to print, that is printed over it, and the
unfinished line again below, with the cursor where it was: on a terminal no line is broken. So that this can be done,
`GuestConsole.line` follows what the terminal shows of the line: characters, backspaces, and the escape sequences that
line editors move and erase with. A line of more than LINE bytes is not shown again: a newline ends it, and the guest
goes on in a line with a prefix of its own. A panic ends the unfinished line by a newline too, and leaves it there.

Bytes of the focused guest pass as they are, but a carriage return puts the prefix back, and a backspace does not go
beyond the line's beginning. Guests without the focus lose control characters and escape sequences, so that none can
command a terminal that a person uses for something else.

`Console.routing` protects the set of guests and who has the focus, and is held while input is delivered: once `remove`
returns, nothing is delivered to that guest any more. `Console.lock` protects what is on the screen, in the line buffers
and in the log.

The log keeps the lines of the hypervisor and of guests without the focus, each with its prefix, for who reads them
later; as in Xen, what a person at the terminal and the guest with the focus say to each other is not in it.
"""

from hv.common.kernel.log_ring import LogRing
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.lib.format import Sink, render
from hv.common.lib.ordered import Link, OrderedQueue
from hv.common.lib.text import TextBuffer
from hv.lang import Callable, Final, Message, Protocol, U8Enum, array, bounded, i64, u8, u32

LINE: Final = 128  # bytes of a guest's line that are collected before they are printed as a line of their own
LOG: Final = 16384  # bytes of lines that can be read later
MAX_DEVICES: Final = 4
LONGEST_TEXT: Final = 65536  # bytes of one piece of a message

MOST_COLUMNS: Final = 2048  # of a line that is printed over: more than LINE tabs and a prefix take
TAB_STOP: Final = 8

BACKSPACE: Final = 0x08
TAB: Final = 0x09
NEWLINE: Final = 0x0A
RETURN: Final = 0x0D
CANCEL: Final = 0x18  # ends an escape sequence (ECMA-48, 8.3.6)
ESCAPE: Final = 0x1B
SPACE: Final = 0x20
OPENING_BRACKET: Final = 0x5B
DELETE: Final = 0x7F


class SerialPort(Protocol):
    """What the console needs of a UART, or of a screen."""

    def put(self, byte: u8) -> None:
        """Sends a byte, and waits until there is room for it."""
        ...


class ConsoleClient(Protocol):
    """The receiver of a guest's input."""

    def deliver(self, byte: u8) -> None:
        """A byte was typed. What there is no room for is dropped."""
        ...


class EscapeState(U8Enum):
    """How far an escape sequence has come: ESC, then one byte, or `[` and bytes up to a letter (ECMA-48, 5.4)."""

    NONE = 0
    STARTED = 1
    BRACKET = 2


class GuestConsole:
    """A guest's end of the console. Embedded in what emulates its UART."""

    place: Link["GuestConsole"]
    client: ConsoleClient
    domain: u32
    name: str
    line: TextBuffer[LINE]  # without its end: what is not printed yet, or what the screen shows of it
    cursor: u32  # where the terminal's cursor is in it, while it is on the screen
    returned: bool  # a carriage return came, and what follows decides what it means
    escape: EscapeState
    number: u32  # the last in an escape sequence
    cut: bool  # another line came into the middle of the escape sequence: its rest means nothing any more

    def add(self, domain: u32, name: str, client: ConsoleClient) -> None:
        """Takes part from now on. The first guest gets the input focus."""
        self.domain = domain
        self.name = name
        self.client = client
        self.place.init(self)
        console.add(self)

    def remove(self) -> None:
        """Prints what is left, gives the focus back, and takes no part any more."""
        console.remove(self)

    def write(self, byte: u8) -> None:
        """A byte that the guest printed."""
        console.write(self, byte)

    def begin_line(self) -> None:
        self.line.clear()
        self.cursor = 0

    def follow(self, byte: u8) -> bool:
        """Does to the line what a terminal will do that gets the byte. False: it must not get it."""
        if self.escape != EscapeState.NONE:
            passes = not self.cut
            self._follow_escape(byte)
            return passes
        if byte == BACKSPACE:
            if self.cursor == 0:
                return False
            self.cursor -= 1
        elif byte == ESCAPE:
            self.escape = EscapeState.STARTED
            self.number = 0
            self.cut = False
        elif is_text(byte):
            if self.cursor < self.line.length:
                self.line.bytes[self.cursor] = byte
            else:
                self.line.put_byte(byte)
            self.cursor = min(self.cursor + 1, self.line.length)
        return True

    def _follow_escape(self, byte: u8) -> None:
        """Source: ECMA-48, 8.3.18 (CUB), 8.3.20 (CUF), 8.3.39 (ED), 8.3.41 (EL)."""
        if self.escape == EscapeState.BRACKET:
            if ord("0") <= byte <= ord("9"):
                self.number = min(self.number * 10 + u32(byte - ord("0")), LINE)
            elif byte == ord("C"):
                self.cursor = min(self.cursor + max(self.number, 1), self.line.length)
            elif byte == ord("D"):
                self.cursor -= min(self.cursor, max(self.number, 1))
            elif byte in (ord("J"), ord("K")) and self.number == 0:
                self.line.length = self.cursor
            elif byte in (ord("J"), ord("K")) and self.number == 2:
                self.begin_line()
        self.escape = _after(self.escape, byte)

    @property
    def columns(self) -> u32:
        """How many the line takes on the screen, at most."""
        total = self.line.length
        for i in bounded(self.line.length, LINE):
            if self.line.bytes[i] == TAB:
                total += TAB_STOP
        return total


class Output:
    device: SerialPort


class PrintedAndKept(Sink):
    """The console and its log."""

    def put(self, text: str) -> None:
        console.log.put(text)
        console.put(text)


class Console(Sink):
    routing: SpinLock[Rank.CONSOLE_INPUT]
    lock: SpinLock[Rank.CONSOLE]
    outputs: array[Output, MAX_DEVICES]
    output_count: u32
    rescue: Callable[[], None] | None  # attaches a device, for a panic that comes before one was looked for
    log: LogRing[LOG]
    guests: OrderedQueue[GuestConsole]
    focus: GuestConsole | None  # None: the hypervisor
    unfinished: GuestConsole | None  # whose line stands on the screen without its end
    column: u32  # of the cursor, but for what a guest's control characters did
    indent: u32  # how many columns the unfinished line's prefix takes
    covered: u32  # columns of the screen's last row that show something old
    settled: bool  # the focus was given once, or is to stay with the hypervisor
    expected: u32  # the domain that had the focus when it went away, and has it again when it comes back; 0: none

    # Output

    def attach(self, device: SerialPort) -> None:
        """Prints there too from now on, first what the log holds; again for a device that has moved."""
        with self.lock as held:
            self._break_line(held)
            if not self._has(device):
                assert self.output_count < MAX_DEVICES, "more console devices than there is room for"
                self.outputs[self.output_count].device = device
                self.output_count += 1
            self._replay(device)

    def _has(self, device: SerialPort) -> bool:
        for i in bounded(self.output_count, MAX_DEVICES):
            if self.outputs[i].device is device:
                return True
        return False

    def _replay(self, device: SerialPort) -> None:
        """Prints the log on one device."""
        at = self.log.begin(0, False)
        for _ in range(2):  # its bytes lie in two pieces at the most
            piece = self.log.piece(at, LOG)
            for i in bounded(len(piece), LOG):
                if ord(piece[i]) == NEWLINE:
                    device.put(RETURN)
                device.put(ord(piece[i]))
            at += u32(len(piece))

    def print(self, message: Message) -> None:
        """A line of the hypervisor's."""
        with self.lock as held:
            self.print_line(held, message)

    def print_line(self, held: Held[Rank.CONSOLE], message: Message) -> None:
        """A line of the hypervisor's, for who holds the lock."""
        hidden = self._hide_line(held)
        self._put_line(held, message)
        self._show_again(held, hidden)

    def print_anyway(self, message: Message) -> None:
        """As `print`, whoever holds the lock: for a panic, when the other CPUs are stopped or this one is lost."""
        rescue = self.rescue
        if self.output_count == 0 and rescue is not None:
            self.rescue = None
            rescue()
        held = Held[Rank.CONSOLE]()
        self._break_line(held)
        self._put_line(held, message)

    def _put_line(self, held: Held[Rank.CONSOLE], message: Message) -> None:
        both.put("(hv) ")
        render(both, message)
        self.log.put("\n")
        self._end_line()

    def put(self, text: str) -> None:
        for i in bounded(len(text), LONGEST_TEXT):
            self._put_byte(ord(text[i]))

    def write(self, guest: GuestConsole, byte: u8) -> None:
        with self.lock as held:
            if self.focus is guest:
                self._echo(held, guest, byte)
            else:
                self._collect(held, guest, byte)

    def _echo(self, held: Held[Rank.CONSOLE], guest: GuestConsole, byte: u8) -> None:
        if byte == RETURN:
            guest.returned = True
            return
        if self.unfinished is not guest:
            self._show_line(held, guest)
        elif guest.returned and byte != NEWLINE:
            self._put_byte(RETURN)
            self._put_prefix(guest)
            guest.cursor = 0
        guest.returned = False
        if byte == NEWLINE:
            self._end_line()
            guest.begin_line()
            self.unfinished = None
        elif guest.follow(byte):
            self._put_byte(byte)

    def _collect(self, held: Held[Rank.CONSOLE], guest: GuestConsole, byte: u8) -> None:
        if byte == NEWLINE:
            self._print_collected(held, guest)
        if guest.escape != EscapeState.NONE:
            guest.escape = _after(guest.escape, byte)
        elif byte == ESCAPE:
            guest.escape = EscapeState.STARTED
        elif is_text(byte):
            if guest.line.length == LINE:
                self._print_collected(held, guest)
            guest.line.put_byte(byte)

    def _print_collected(self, held: Held[Rank.CONSOLE], guest: GuestConsole) -> None:
        """Prints the guest's collected bytes as a line, which the log keeps."""
        _write(self.log, f"(d{guest.domain} {guest.name}) {guest.line.text}\n")
        hidden = self._hide_line(held)
        self._put_prefix(guest)
        self.put(guest.line.text)
        self._end_line()
        guest.begin_line()
        self._show_again(held, hidden)

    def _show_line(self, held: Held[Rank.CONSOLE], guest: GuestConsole) -> None:
        """Prints the guest's line as far as it has come. The screen's last row is empty."""
        self._put_prefix(guest)
        self.indent = self.column
        self.put(guest.line.text)
        for _ in bounded(guest.line.length - guest.cursor, LINE):
            self._put_byte(BACKSPACE)
        self.unfinished = guest

    def _hide_line(self, held: Held[Rank.CONSOLE]) -> GuestConsole | None:
        """Makes way for a line. Returns whose unfinished line it is printed over."""
        guest = self.unfinished
        if guest is None or guest.line.truncated:
            self._break_line(held)
            return None
        if guest.escape != EscapeState.NONE and not guest.cut:
            self._put_byte(CANCEL)
            guest.cut = True
        self._put_byte(RETURN)
        self.covered = self.indent + guest.columns
        self.unfinished = None
        return guest

    def _show_again(self, held: Held[Rank.CONSOLE], guest: GuestConsole | None) -> None:
        """Behind the line that was printed over a guest's."""
        if guest is not None and guest is self.focus and guest.line.length != 0:
            self._show_line(held, guest)

    def _break_line(self, held: Held[Rank.CONSOLE]) -> None:
        """Ends the unfinished line, which stays where it is."""
        guest = self.unfinished
        if guest is not None:
            self._end_line()
            guest.begin_line()
            self.unfinished = None

    def _put_prefix(self, guest: GuestConsole) -> None:
        _write(self, f"(d{guest.domain} {guest.name}) ")

    def _end_line(self) -> None:
        for _ in bounded(self.covered, MOST_COLUMNS):
            if self.column < self.covered:
                self._put_byte(SPACE)
        self.covered = 0
        self.put("\r\n")

    def _put_byte(self, byte: u8) -> None:
        if byte in (RETURN, NEWLINE):
            self.column = 0
        elif byte >= SPACE and byte & 0xC0 != 0x80:  # a later byte of UTF-8 is no column
            self.column += 1
        for i in bounded(self.output_count, MAX_DEVICES):
            self.outputs[i].device.put(byte)

    # Input

    def add(self, guest: GuestConsole) -> None:
        with self.routing as routing:
            self.guests.insert(guest.place, i64(guest.domain))
            if not self.settled or guest.domain == self.expected:
                self._turn_to(routing, guest)

    def remove(self, guest: GuestConsole) -> None:
        with self.routing as routing:
            self.guests.remove(guest.place)
            with self.lock as held:
                if self.unfinished is guest:
                    self._break_line(held)
                elif guest.line.length != 0:
                    self._print_collected(held, guest)
            if self.focus is guest:
                self._turn_to(routing, None)
                self.expected = guest.domain

    def stay_at_hypervisor(self) -> None:
        """No guest gets the focus by itself."""
        self.settled = True
        self.expected = 0

    def prefer(self, domain: u32) -> None:
        """This guest gets the focus when it comes, and not the first, unless that is settled already."""
        if not self.settled:
            self.settled = True
            self.expected = domain

    def turn(self) -> None:
        """Moves the focus on: hypervisor, then the guests in the order of their numbers, and round."""
        with self.routing as routing:
            focus = self.focus
            if focus is None:
                self._turn_to(routing, self.guests.head())
            else:
                after = focus.place.next
                self._turn_to(routing, None if after is None else after.owner)

    def deliver(self, byte: u8) -> bool:
        """Hands a typed byte to the guest that has the focus. False: the hypervisor has it."""
        with self.routing:
            focus = self.focus
            if focus is None:
                return False
            focus.client.deliver(byte)
            return True

    def _turn_to(self, routing: Held[Rank.CONSOLE_INPUT], guest: GuestConsole | None) -> None:
        """Says who has the focus now, and shows the unfinished line of a guest that gets it."""
        self.settled = True
        self.expected = 0
        with self.lock as held:
            self.focus = guest
            if guest is None:
                self.print_line(held, "input to hypervisor")
                return
            self.print_line(held, f"input to d{guest.domain} {guest.name}")
            guest.returned = False
            guest.cut = guest.escape != EscapeState.NONE
            guest.cursor = guest.line.length
            if guest.line.length != 0:
                self._show_line(held, guest)


def _write(sink: Sink, message: Message) -> None:
    render(sink, message)


def is_text(byte: u8) -> bool:
    """What takes room in a line, and no control character."""
    return (byte >= SPACE and byte != DELETE) or byte == TAB


def _after(state: EscapeState, byte: u8) -> EscapeState:
    """The state behind another byte of an escape sequence."""
    if state == EscapeState.STARTED:
        return EscapeState.BRACKET if byte == OPENING_BRACKET else EscapeState.NONE
    return EscapeState.NONE if 0x40 <= byte < DELETE else EscapeState.BRACKET


both: Final = PrintedAndKept()
console: Final = Console()
