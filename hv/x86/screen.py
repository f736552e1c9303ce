"""The console on the screen, when the boot loader has set one up."""

from hv.common.drivers.framebuffer import framebuffer
from hv.common.drivers.screen import Screen, ScreenKind
from hv.common.kernel.console import console
from hv.common.kernel.log import warning
from hv.common.mm.windows import windows
from hv.lang import Errno, raises


def start_screen(screen: Screen) -> None:
    if screen.kind == ScreenKind.NONE:
        return
    try:
        draw_on(screen)
        console.attach(framebuffer)
    except Errno as e:
        warning(f"the screen of {screen.width} by {screen.height}, {screen.bits} bits, cannot be used: {e.name}")


@raises
def draw_on(screen: Screen) -> None:
    """ENODEV: no screen that letters can be drawn on. EINVAL, ENOMEM: its memory cannot be mapped."""
    address = windows.map_picture(screen.base, screen.bytes)
    try:
        framebuffer.start(screen, address)
    except Errno:
        windows.unmap(address)
        raise
