"""Debug keys: what a key does while the hypervisor has the console's input. Any module adds its own; `h` lists them.

A key's output is long work: its function is called again and again, each time for a few lines, and keeps in `Output`
how far it has come. So a long output neither holds a CPU back nor a lock: what it shows may change between two lines.
A key waits for no CPU that may be stuck: it asks by `survey`, and takes locks that such a CPU may hold by `attempt`.

All keys are handled by the CPU that the console's UART interrupts, one after the other.
"""

from hv.arch import restart
from hv.common.kernel.console import console
from hv.common.kernel.panic import panic
from hv.common.kernel.work import Progress, Task, Work
from hv.common.lib.ring import Ring
from hv.lang import Callable, Embedded, Final, Registry, u8, u32, value

PRESSED_AHEAD: Final = 32


class Output:
    """How far a key's output has come: all zeros at its beginning; the key counts in it as it likes."""

    row: u32
    part: u32


@value
class Key:
    character: str
    help: str
    shows: bool  # and changes nothing: `*` runs it, too
    # Does some of it, in at most 100,000 instructions apart from what the port takes to print.
    step: Callable[[Output], Progress]


keys: Final = Registry[Key]()


class Pressed(Task):
    """The keys that were pressed, and the one whose output is under way."""

    ahead: Ring[u8, PRESSED_AHEAD]
    busy: bool  # it is among the CPU's work
    key: u32  # the index of the one under way, or `len(keys)`
    all: bool  # when it is done, the next of those that only show follows
    output: Embedded[Output]
    work: Embedded[Work]

    def press(self, character: u8) -> None:
        """What there is no room for is dropped."""
        self.ahead.put(character)
        if not self.busy:
            self.busy = True
            self.key = count()
            self.work.init(self)
            self.work.start()

    def step(self) -> Progress:
        if self.key == count() and not self._next():
            self.busy = False
            return Progress.DONE
        key = keys[self.key]
        progress = key.step(self.output)
        if progress != Progress.DONE:
            return progress
        self._begin(self._next_that_shows(self.key + 1) if self.all else count())
        return Progress.MORE

    def _next(self) -> bool:
        """Begins with the next key that was pressed. False: there is none."""
        for _ in range(PRESSED_AHEAD):
            if self.ahead.empty:
                return False
            self.all = False
            character = self.ahead.get()
            if character == ord("*"):
                self.all = True
                self._begin(self._next_that_shows(0))
            else:
                self._begin(find(character))
            if self.key < count():
                return True
            console.print("no such key: h lists those that there are")
        return False

    def _next_that_shows(self, first: u32) -> u32:
        for i, key in enumerate(keys):
            if u32(i) >= first and key.shows:
                return u32(i)
        return count()

    def _begin(self, key: u32) -> None:
        self.key = key
        self.output.row = 0
        self.output.part = 0
        if self.all and key < count():
            console.print(f"key {keys[key].character}: {keys[key].help}")


pressed: Final = Pressed()


def press(character: u8) -> None:
    """The key's turn comes when this CPU does its long work."""
    pressed.press(character)


def count() -> u32:
    return u32(len(keys))


def find(character: u8) -> u32:
    """The index of the key; `count()`: there is none."""
    for i, key in enumerate(keys):
        if ord(key.character[0]) == character:
            return u32(i)
    return count()


@keys.entry(character="h", help="lists the keys", shows=False)
def list_keys(output: Output) -> Progress:
    if output.row == count():
        console.print("*: shows what all keys show that change nothing")
        return Progress.DONE
    key = keys[output.row]
    console.print(f"{key.character}: {key.help}")
    output.row += 1
    return Progress.MORE


@keys.entry(character="R", help="restarts the machine at once", shows=False)
def restart_machine(output: Output) -> Progress:
    console.print("restarting: the key R was pressed")
    restart()


@keys.entry(character="C", help="ends the hypervisor with a panic", shows=False)
def crash_machine(output: Output) -> Progress:
    panic("the key C was pressed")
