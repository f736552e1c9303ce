"""The console: one serial line that the hypervisor and its guests share.

Whole lines are printed, each with a prefix that says whose it is: `(hv) ` or `(d1 linux1) `. The guest that has the
input focus is the exception: what it writes goes out at once, so that prompts and the echo of what is typed appear.
When its unfinished line stands on the screen and another source has a line to print, a newline finishes it first; the
guest's next byte then begins a line with a prefix of its own.

Bytes of the focused guest pass as they are, but a carriage return puts the prefix back. Guests without the focus lose
control characters and escape sequences, so that none can command a terminal that a person uses for something else.

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
from hv.common.lib.ring import Ring
from hv.common.lib.text import TextBuffer
from hv.lang import Final, Message, Protocol, U8Enum, bounded, i64, u8, u32, unbounded

LINE: Final = 128  # bytes of a guest's line that are collected before they are printed as a line of their own
BACKLOG: Final = 8192  # bytes kept until there is a port
LOG: Final = 16384  # bytes of lines that can be read later
LONGEST_TEXT: Final = 65536  # bytes of one piece of a message

TAB: Final = 0x09
NEWLINE: Final = 0x0A
RETURN: Final = 0x0D
ESCAPE: Final = 0x1B
SPACE: Final = 0x20
OPENING_BRACKET: Final = 0x5B
DELETE: Final = 0x7F


class SerialPort(Protocol):
    """What the console needs of a UART."""

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
    line: TextBuffer[LINE]  # what is not printed yet
    returned: bool  # a carriage return came, and what follows decides what it means
    escape: EscapeState

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


class PrintedAndKept(Sink):
    """The console and its log."""

    def put(self, text: str) -> None:
        console.log.put(text)
        console.put(text)


class Console(Sink):
    routing: SpinLock[Rank.CONSOLE_INPUT]
    lock: SpinLock[Rank.CONSOLE]
    port: SerialPort | None
    screen: SerialPort | None  # prints the same
    backlog: Ring[u8, BACKLOG]
    log: LogRing[LOG]
    guests: OrderedQueue[GuestConsole]
    focus: GuestConsole | None  # None: the hypervisor
    unfinished: GuestConsole | None  # whose line stands on the screen without its end
    settled: bool  # the focus was given once, or is to stay with the hypervisor
    expected: u32  # the domain that had the focus when it went away, and has it again when it comes back; 0: none

    # Output

    @unbounded("ends with the backlog")
    def attach(self, port: SerialPort) -> None:
        """Prints to the port from now on, first what was printed before there was one."""
        with self.lock:
            self.port = port
            while not self.backlog.empty:
                port.put(self.backlog.get())

    def attach_screen(self, screen: SerialPort) -> None:
        """Prints there too from now on."""
        with self.lock:
            self.screen = screen

    def print(self, message: Message) -> None:
        """A line of the hypervisor's."""
        with self.lock as held:
            self.print_line(held, message)

    def print_line(self, held: Held[Rank.CONSOLE], message: Message) -> None:
        """A line of the hypervisor's, for who holds the lock."""
        self._finish_line(held)
        both.put("(hv) ")
        render(both, message)
        self.log.put("\n")
        self._end_line()

    def print_anyway(self, message: Message) -> None:
        """As `print`, whoever holds the lock: for a panic, when the other CPUs are stopped or this one is lost."""
        self.print_line(Held[Rank.CONSOLE](), message)

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
        if byte == NEWLINE:
            self._begin_line(held, guest)
            self._end_line()
            self.unfinished = None
        elif self._begin_line(held, guest) or not guest.returned:
            self._put_byte(byte)
        else:
            self._put_byte(RETURN)
            self._put_prefix(guest)
            self._put_byte(byte)
        guest.returned = False

    def _collect(self, held: Held[Rank.CONSOLE], guest: GuestConsole, byte: u8) -> None:
        if byte == NEWLINE or guest.line.length == LINE:
            self._keep(guest)
            self._print_collected(held, guest)
            self._end_line()
            self.unfinished = None
        if guest.escape != EscapeState.NONE:
            guest.escape = _after(guest.escape, byte)
        elif byte == ESCAPE:
            guest.escape = EscapeState.STARTED
        elif (byte >= SPACE and byte != DELETE) or byte == TAB:
            guest.line.put_byte(byte)

    def _keep(self, guest: GuestConsole) -> None:
        """Puts the guest's collected bytes into the log, as a line."""
        _write(self.log, f"(d{guest.domain} {guest.name}) {guest.line.text}\n")

    def _print_collected(self, held: Held[Rank.CONSOLE], guest: GuestConsole) -> None:
        """Prints the guest's collected bytes, and leaves the line unfinished."""
        self._finish_line(held)
        self._begin_line(held, guest)
        self.put(guest.line.text)
        guest.line.clear()

    def _begin_line(self, held: Held[Rank.CONSOLE], guest: GuestConsole) -> bool:
        """Sees to it that the guest's line is the one on the screen. True when that took a new line."""
        if self.unfinished is guest:
            return False
        self._finish_line(held)
        self._put_prefix(guest)
        self.unfinished = guest
        return True

    def _finish_line(self, held: Held[Rank.CONSOLE]) -> None:
        if self.unfinished is not None:
            self._end_line()
            self.unfinished = None

    def _put_prefix(self, guest: GuestConsole) -> None:
        _write(self, f"(d{guest.domain} {guest.name}) ")

    def _end_line(self) -> None:
        self.put("\r\n")

    def _put_byte(self, byte: u8) -> None:
        port = self.port
        if port is None:
            self.backlog.put(byte)
        else:
            port.put(byte)
        screen = self.screen
        if screen is not None:
            screen.put(byte)

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
                if guest.line.length != 0:
                    self._keep(guest)
                    self._print_collected(held, guest)
                if self.unfinished is guest:
                    self._finish_line(held)
            if self.focus is guest:
                self._turn_to(routing, None)
                self.expected = guest.domain

    def stay_at_hypervisor(self) -> None:
        """The first guest does not get the focus by itself."""
        self.settled = True

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
            if guest.line.length != 0:
                self._print_collected(held, guest)


def _write(sink: Sink, message: Message) -> None:
    render(sink, message)


def _after(state: EscapeState, byte: u8) -> EscapeState:
    """The state behind another byte of an escape sequence."""
    if state == EscapeState.STARTED:
        return EscapeState.BRACKET if byte == OPENING_BRACKET else EscapeState.NONE
    return EscapeState.NONE if 0x40 <= byte < DELETE else EscapeState.BRACKET


both: Final = PrintedAndKept()
console: Final = Console()
