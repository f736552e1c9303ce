"""Which devices the console is on: `console=` on the command line, a list of Xen's words.

`com1` and `com2` are serial ports. With an `H` behind it the port carries the console in bytes with the highest bit
set, with an `L` in those with it clear: another program may have the others. `vga` is the screen, `none` nothing.
Without the option the console is on com1 and the screen.

Source: Xen 4.17, docs/misc/xen-command-line.pandoc, console.
"""

from hv.common.drivers.uart import Mark
from hv.common.kernel.log import warning
from hv.common.kernel.options import options
from hv.common.lib.parse import Fields
from hv.lang import Errno, Final, array, raises, u32

COMS: Final = 2
NAMES: Final[array[str, COMS]] = array("com1", "com2")


class Choice:
    given: bool
    coms: array[bool, COMS]
    marks: array[Mark, COMS]
    screen: bool

    def uses_com(self, index: u32) -> bool:
        return self.coms[index] if self.given else index == 0

    @property
    def uses_screen(self) -> bool:
        return self.screen or not self.given

    def clear(self) -> None:
        self.given = False
        self.screen = False
        for i in range(COMS):
            self.coms[i] = False
            self.marks[i] = Mark.NONE

    @raises
    def add(self, word: str) -> None:
        """EINVAL: no device is called so."""
        self.given = True
        if word == "vga":
            self.screen = True
        elif word != "none":
            self._add_com(word)

    @raises
    def _add_com(self, word: str) -> None:
        for i, name in enumerate(NAMES):
            if word.startswith(name):
                self.marks[i] = mark_called(word[len(name) :])
                self.coms[i] = True
                return
        raise Errno.EINVAL


choice: Final = Choice()


@raises
def mark_called(letter: str) -> Mark:
    """EINVAL: it is none."""
    if letter == "":
        return Mark.NONE
    if letter == "H":
        return Mark.HIGH
    if letter == "L":
        return Mark.LOW
    raise Errno.EINVAL


@options.entry(name="console")
def console(text: str) -> bool:
    choice.clear()
    for word in Fields(text, ","):
        try:
            choice.add(word)
        except Errno:
            choice.clear()
            warning(f'console={text}: expected com1, com2, vga or none, not "{word}"; it stays on com1 and the screen')
            break
    return True
