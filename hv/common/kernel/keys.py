"""Debug keys: what a key does while the hypervisor has the console's input. Any module adds its own; `h` lists them."""

from hv.common.kernel.console import console
from hv.lang import Callable, Final, Registry, u8, value


@value
class Key:
    character: str
    help: str
    run: Callable[[], None]


keys: Final = Registry[Key]()


def press(character: u8) -> None:
    for key in keys:
        if ord(key.character[0]) == character:
            key.run()
            return
    console.print("no such key: h lists those that there are")


@keys.entry(character="h", help="lists the keys")
def list_keys() -> None:
    for key in keys:
        console.print(f"{key.character}: {key.help}")
