"""Lines on the console."""

from guests.lib.uart import uart
from hv.common.lib.format import render
from hv.lang import Message


def write(message: Message) -> None:
    render(uart, message)


def line(message: Message) -> None:
    render(uart, message)
    uart.put("\n")
