"""`./dev trace`: a scenario with tracing on, and its records as text and as xentrace's file.

The buffers are read out of the emulated machine's memory when it has been stopped, so a panic does not matter. Where
they are listed the hypervisor says in a line; the rest is in the layouts of public/trace.h.

A file as xentrace writes it is, for each part of a CPU's buffer, a record TRACE_CPU_CHANGE with the CPU's number and
the bytes that follow, and these bytes.
"""

import argparse
import json
import re
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from devtools import boot, scenario
from devtools.machine import Machine, NotSeen
from devtools.report import Problem, progress
from hv.common.kernel.trace_events import Event, arguments

PAGE = 4096
HEAD = 8  # bytes before the records: struct t_buf
CONNECT_SECONDS = 10
LISTED = re.compile(r"trace buffers of \d+ pages for each CPU, events \S+, listed at (0x[0-9a-f]+)")
RUNSTATES = ("running", "runnable", "blocked", "offline")
NAMES = {int(event): event for event in Event}

Memory = Callable[[int, int], bytes]
"""Reads so many bytes of a machine's memory at a physical address."""


@dataclass(frozen=True)
class Record:
    cpu: int
    time: int  # ticks; of one without a time, that of the record before
    event: int
    extra: tuple[int, ...]


def main(arguments: argparse.Namespace) -> int:
    if arguments.read:
        show(Path(arguments.read).read_bytes())
        return 0
    chosen = scenario.load(arguments.scenario) if arguments.scenario else scenario.every()[0]
    if chosen.machine.emulator == "bochs" or not chosen.machine.hypervisor:
        raise Problem(f"{chosen.name} has no hypervisor in QEMU, whose memory could be read: name another scenario")
    added = f"tbuf_size={arguments.pages} tevt_mask={arguments.events}"
    command = boot.command(chosen, boot.Options(cpus=arguments.cpus, added=added))
    with tempfile.TemporaryDirectory(prefix="trace-") as folder:
        control = Path(folder) / "qmp"
        with Machine([*command, "-qmp", f"unix:{control},server=on,wait=off"]) as machine:
            progress(f"{chosen.name}: until {arguments.until!r} appears")
            try:
                machine.expect(arguments.until, arguments.timeout)
            except NotSeen:
                progress(f"{arguments.until!r} did not appear: this is what was recorded up to now")
            listed = LISTED.search(machine.output)
            if listed is None:
                raise Problem(f"the hypervisor made no trace buffers. The last lines:\n{machine.tail(8)}", 1)
            with Control(control) as qemu:
                data = b"".join(chunks(qemu.memory, int(listed[1], 16)))
    if arguments.raw:
        Path(arguments.raw).write_bytes(data)
    show(data)
    return 0


class Control:
    """A connection to QEMU (QMP); the machine stops when it is made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(CONNECT_SECONDS)
        try:
            self.socket.connect(str(self.path))
        except OSError as error:
            raise Problem(f"the machine is gone, and its memory with it: {error.strerror}", 1) from None
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")
        self.ask("stop")
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.socket.close()

    def ask(self, command: str, **arguments: Any) -> None:
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                raise Problem(f"QEMU does not {command}: {answer['error']['desc']}", 1)
            if "return" in answer:
                return
        raise Problem(f"QEMU ended instead of {command}", 1)

    def memory(self, address: int, size: int) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            self.ask("pmemsave", val=address, size=size, filename=file.name)
            return Path(file.name).read_bytes()


def chunks(memory: Memory, listed: int) -> Iterator[bytes]:
    """What is unread in each CPU's buffer, as xentrace writes it. `listed`: the address of struct t_info."""
    head = memory(listed, PAGE)
    (pages,) = struct.unpack_from("<H", head)
    first = PAGE // 4  # words up to the first list, which ends the CPUs' offsets
    for cpu, (offset,) in enumerate(struct.iter_unpack("<H", head[2:])):
        if 2 + 2 * cpu >= 4 * first:
            return
        if offset:
            first = min(first, offset)
            frames = struct.unpack(f"<{pages}I", memory(listed + 4 * offset, 4 * pages))
            data = unread(b"".join(memory(frame * PAGE, PAGE) for frame in frames))
            if data:
                yield struct.pack("<3I", int(Event.TRACE_CPU_CHANGE) | 2 << 28, cpu, len(data)) + data


def unread(buffer: bytes) -> bytes:
    """The records between what was consumed and what was produced."""
    cons, prod = struct.unpack_from("<2I", buffer)
    data = buffer[HEAD:]
    size = len(data)
    if cons >= 2 * size or prod >= 2 * size or (prod - cons) % (2 * size) > size:
        raise Problem(f"a trace buffer is damaged: cons {cons}, prod {prod}, {size} bytes of data", 1)
    length = (prod - cons) % (2 * size)
    return (data + data)[cons % size :][:length]


def records(data: bytes) -> Iterator[Record]:
    """Of a file as xentrace writes it."""
    at, cpu, now = 0, 0, 0
    while at + 4 <= len(data):
        (header,) = struct.unpack_from("<I", data, at)
        event, count, timed = header & 0x0FFF_FFFF, header >> 28 & 7, header >> 31
        size = 4 + 8 * timed + 4 * count
        if at + size > len(data):
            raise Problem(f"the trace ends within a record, at byte {at}", 1)
        extra = struct.unpack_from(f"<{count}I", data, at + 4 + 8 * timed)
        if timed:
            (now,) = struct.unpack_from("<Q", data, at + 4)
        if event == int(Event.TRACE_CPU_CHANGE):
            cpu = extra[0]
        elif event != int(Event.TRACE_WRAP_BUFFER):
            yield Record(cpu, now, event, extra)
        at += size


def show(data: bytes) -> None:
    """All CPUs' records in the order of their times."""
    found = sorted(records(data), key=lambda record: record.time)
    for record in found:
        print(f"{record.time:>14} cpu{record.cpu} {in_words(record)}")
    progress(f"{len(found)} records")


def in_words(record: Record) -> str:
    event = record.event
    states = ""
    if event >> 12 == int(Event.SCHED_RUNSTATE_CHANGE) >> 12 and event & 15 == 1:
        states = f" {state_name(event >> 8 & 15)}->{state_name(event >> 4 & 15)}"
        event = int(Event.SCHED_RUNSTATE_CHANGE)
    if event not in NAMES:
        return f"{event:#09x} " + " ".join(f"{word:#x}" for word in record.extra)
    names = str(arguments(NAMES[event])).split(",")
    names += ["?"] * (len(record.extra) - len(names))
    return NAMES[event].name + states + "".join(word_in_words(*pair) for pair in zip(names, record.extra, strict=False))


def word_in_words(name: str, word: int) -> str:
    match name:
        case "domain+vcpu":
            return f" d{word >> 16}v{word & 0xFFFF}"
        case "vcpu+domain":
            return f" d{word & 0xFFFF}v{word >> 16}"
    return f" {name}={word:#x}" if name.startswith("pc") else f" {name}={word}"


def state_name(state: int) -> str:
    return RUNSTATES[state] if state < len(RUNSTATES) else "?"
