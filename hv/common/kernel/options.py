"""The options of the hypervisor's command line: modules register theirs here, `cmdline` reads the line.

An option's function gets the text behind `=`, nothing when the name stood alone, or "no" for `no-name`. It returns
False for what it does not understand. `parse.boolean` reads all of a switch's spellings.
"""

from hv.lang import Callable, Final, Registry, value


@value
class Option:
    name: str
    apply: Callable[[str], bool]


options: Final = Registry[Option]()
