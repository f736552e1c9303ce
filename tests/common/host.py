"""The host library as tests of hv/common use it: cleared state, memory, text, and death in a child."""

from __future__ import annotations

import faulthandler
import os
import resource
from collections.abc import Callable
from functools import cache
from typing import Any

from compiler.hostbuild import Library, Raised, library

EINVAL, ENOENT, ENOSPC = 22, 2, 28
RESTARTED, HALTED = 65, 66
LIB = "hv.common.lib."
KERNEL = "hv.common.kernel."
SAMPLES = "hv.sim.samples."
MACHINE = "hv.sim.machine."


class Host:
    """The library, with this thread on CPU 0 of the simulated machine."""

    def __init__(self) -> None:
        self.library: Library = library()
        self.ffi = self.library.ffi
        self.kept: list[Any] = []
        self.enter(0)

    def call(self, name: str, *arguments: Any) -> Any:
        """A function by its full name, or beneath hv.common. Texts are given as str; a text comes back as str."""
        result = self.library.call(name if name.startswith("hv.") else f"hv.common.{name}", *arguments)
        if isinstance(result, self.ffi.CData) and self.ffi.typeof(result).cname == "text":
            return bytes(self.ffi.buffer(result.data, result.length)).decode(errors="surrogateescape")
        return result

    def errno(self, name: str, *arguments: Any) -> int:
        """What the call raises; 0 when it does not."""
        try:
            self.call(name, *arguments)
        except Raised as raised:
            return raised.code
        return 0

    def variable(self, name: str) -> Any:
        return self.library.variable(name)

    def clear(self, thing: Any, count: int = 1) -> None:
        size = self.ffi.sizeof(self.ffi.typeof(thing).item) * count
        self.ffi.memmove(thing, bytes(size), size)

    def cleared(self, name: str) -> Any:
        """A static object, table or module variable, all zeros as at power-on."""
        thing = self.variable(name)
        kind = self.ffi.typeof(thing)
        self.clear(thing, kind.length if kind.kind == "array" else 1)
        return thing

    def enter(self, cpu: int) -> None:
        self.call(f"{MACHINE}enter_cpu", cpu)

    @property
    def per_cpu_size(self) -> int:
        """Bytes of each CPU's area, which takes whole cache lines."""
        return (self.ffi.sizeof("per_cpu") + 63) & ~63

    def per_cpu(self, cpu: int, name: str) -> Any:
        """A per-CPU object, such as hv.common.kernel.timer.Timers."""
        start = self.ffi.cast("char *", self.library.lib.cx_per_cpu)
        area = self.ffi.cast("per_cpu *", start + cpu * self.per_cpu_size)
        return self.ffi.addressof(area, name.removeprefix("hv.").replace(".", "_"))

    def cleared_per_cpu(self, name: str) -> None:
        for cpu in range(len(self.library.lib.cx_per_cpu)):
            self.clear(self.per_cpu(cpu, name))

    def bytes(self, data: bytes | bytearray, room: int | None = None) -> Any:
        """A `Bytes` over a copy of the data, which ends where a sanitizer notices a step beyond."""
        memory = self.ffi.new("unsigned char[]", bytes(data) if room is None else bytes(data).ljust(room, b"\0"))
        size = len(data) if room is None else room
        made = self.ffi.new(
            "common_lib_span_Bytes *", {"address": int(self.ffi.cast("uintptr_t", memory)), "length": size}
        )
        self.kept.append((made, memory))
        return made

    def contents(self, view: Any) -> bytes:
        return bytes(self.ffi.buffer(self.ffi.cast("char *", view.address), view.length))

    def function(self, name: str) -> Any:
        """The address of a compiled function, to be stored where one is wanted."""
        return self.ffi.addressof(self.library.lib, self.library.symbols["functions"][name]["c"])

    def printed(self) -> str:
        """What came out of the simulated serial port since the last call."""
        machine = self.variable(f"{MACHINE}machine")
        text = bytes(self.ffi.buffer(machine.console, machine.console_length)).decode(errors="replace")
        machine.console_length = 0
        return text


@cache
def host() -> Host:
    return Host()


def ending(action: Callable[[], object]) -> tuple[int, str]:
    """Runs the action in a child process: its exit status (minus the signal that ended it), and what it printed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(writer, 2)
        action()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said
