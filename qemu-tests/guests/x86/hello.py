"""A guest that answers: it echoes what is typed, and greets with each line.

It proves the console's rings in both directions, the event that tells of what was typed, and sleep without busy
waiting. The line `poweroff` ends it.
"""

from guests.lib.editor import Editor
from guests.x86.lib.console import console
from guests.x86.lib.cpu import wait_for_interrupt
from guests.x86.lib.events import take_events
from guests.x86.lib.hypercall import POWER_OFF, end
from guests.x86.lib.interrupts import take_interrupts
from guests.x86.lib.text import line
from hv.common.lib.format import render
from hv.lang import Final, Message, export, u64, unbounded

UPCALL: Final = 0x50  # vector

editor: Final = Editor()


@export
@unbounded("until it is switched off")
def guest_main(information: u64) -> None:
    take_interrupts()
    if not console.init() or not take_events(UPCALL):
        line("DONE hello fail no console")
        end(POWER_OFF)
    say("READY hello")
    while True:
        wait_for_interrupt()
        console.channel.clear()
        take_typed()


@unbounded("ends when nothing more was typed")
def take_typed() -> None:
    while console.ready():
        if editor.type(console.get(), console):
            answer(editor.text.text)
            editor.clear()
    console.flush()


def answer(typed: str) -> None:
    if typed == "poweroff":
        end(POWER_OFF)
    say(f"hello, {typed}")


def say(message: Message) -> None:
    render(console, message)
    console.put("\n")
    console.flush()
