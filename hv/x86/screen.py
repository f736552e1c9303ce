"""The console on the screen, when the boot loader has set one up."""

from hv.common.drivers.framebuffer import framebuffer
from hv.common.drivers.screen import Screen, ScreenKind
from hv.common.kernel.console import console
from hv.common.kernel.log import warning
from hv.lang import Errno
from hv.x86.mmu import map_framebuffer


def start_screen(screen: Screen) -> None:
    if screen.kind == ScreenKind.NONE:
        return
    try:
        framebuffer.start(screen, map_framebuffer(screen.base, screen.bytes))
        console.attach(framebuffer)
    except Errno as e:
        warning(f"the screen of {screen.width} by {screen.height}, {screen.bits} bits, cannot be used: {e.name}")
