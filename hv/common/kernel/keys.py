"""Debug keys: what a key does while the hypervisor has the console's input. Any module adds its own; `h` lists them."""

from hv.common.kernel.console import console
from hv.lang import Callable, Final, Registry, u8, value


@value
class Key:
    character: str
    help: str
    # Gets the character, so that one function may serve several keys.
    run: Callable[[str], None]


keys: Final = Registry[Key]()


def press(character: u8) -> None:
    for key in keys:
        if ord(key.character[0]) == character:
            key.run(key.character)
            return
    console.print("no such key: h lists those that there are")


@keys.entry(character="h", help="lists the keys")
def list_keys(character: str) -> None:
    for key in keys:
        console.print(f"{key.character}: {key.help}")
