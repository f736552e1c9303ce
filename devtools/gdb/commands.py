"""gdb's commands for the hypervisor; each says in its docstring, which is gdb's help, what it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gdb
from gdb.FrameDecorator import FrameDecorator

from devtools.gdb import log, tables
from devtools.gdb.printers import elements
from devtools.gdb.program import Program

Value = Any  # gdb.Value


class Names(FrameDecorator):  # type: ignore[misc]
    """A frame under its Python name."""

    def __init__(self, frame: Any, program: Program) -> None:
        super().__init__(frame)
        self.program = program

    def function(self) -> Any:
        name = super().function()
        return self.program.python.get(str(name).partition(".")[0], name)


class FrameNames:
    """Puts `Names` over every frame of a backtrace."""

    name = "constrictor"
    enabled = True
    priority = 100

    def __init__(self, program: Program) -> None:
        self.program = program
        gdb.frame_filters[self.name] = self

    def filter(self, frames: Iterator[Any]) -> Iterator[Any]:
        return (Names(frame, self.program) for frame in frames)


@contextmanager
def physical_memory() -> Iterator[None]:
    """Memory is read by physical address meanwhile (QEMU, docs/system/gdb.rst)."""
    connection = gdb.selected_inferior().connection
    connection.send_packet("Qqemu.PhyMemMode:1")
    try:
        yield
    finally:
        connection.send_packet("Qqemu.PhyMemMode:0")


def word(address: int) -> int:
    return int.from_bytes(bytes(gdb.selected_inferior().read_memory(address, 8)), "little")


def in_view(program: Program) -> None:
    """Raises gdb.GdbError when the CPU that is looked at does not see the hypervisor's memory."""
    try:
        gdb.parse_and_eval("*(unsigned char *)&__text_start")
        gdb.selected_inferior().read_memory(int(gdb.parse_and_eval("(unsigned long)&__data_start")), 8)
    except gdb.error:
        raise gdb.GdbError(
            "this CPU does not see the hypervisor's memory: choose another with `thread N`, or stop in the hypervisor"
        ) from None


class Command(gdb.Command):  # type: ignore[misc]
    """A command whose words come parsed; mistakes end it with one line."""

    def __init__(self, name: str, program: Program, kind: int = gdb.COMMAND_DATA) -> None:
        super().__init__(name, kind)
        self.program = program

    def invoke(self, argument: str, from_tty: bool) -> None:
        try:
            self.run(argument.strip())
        except (LookupError, ValueError) as error:
            raise gdb.GdbError(str(error.args[0]) if error.args else "no such thing") from None

    def run(self, argument: str) -> None:
        raise NotImplementedError


class Break(Command):
    """hv-break NAME [if CONDITION]: stops at a function, such as hv.common.mm.heap.Heap.allocate or Heap.allocate."""

    def run(self, argument: str) -> None:
        name, _, rest = argument.partition(" ")
        gdb.execute(f"break {self.program.function(name)} {rest}".rstrip())

    def complete(self, text: str, word: str) -> list[str]:
        cut = len(text) - len(word)
        return [name[cut:] for name in self.program.functions_beginning(text)]


class Print(Command):
    """hv-print EXPRESSION: an expression with Python names, such as hv.common.model.domain.domains.slots[0].state."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        text = self.program.expression(argument)
        value = gdb.parse_and_eval(text)
        described = self.described(text)
        if described is None:
            gdb.write(value.format_string(styling=True) + "\n")
        else:
            gdb.write(f"{elements(self.program, described, value)}\n")

    def described(self, text: str) -> str | None:
        """The Python type of a variable or of a field that the expression ends with."""
        variable: str | None = self.program.debug["variables"].get(text)
        owner, dot, field = text.rpartition(".")
        if variable is not None or not dot or not field.isidentifier():
            return variable
        kind = gdb.parse_and_eval(owner).type.strip_typedefs()
        if kind.code == gdb.TYPE_CODE_PTR:
            kind = kind.target().strip_typedefs()
        form = self.program.debug["structures"].get(kind.tag, {"fields": {}})
        found: str | None = form["fields"].get(field)
        return found


def domains() -> Iterator[Value]:
    slots = gdb.parse_and_eval("common_model_domain_domains")["slots"]
    low, high = slots.type.range()
    return (slots[i].dereference() for i in range(low, high + 1) if int(slots[i]))


def vcpus(domain: Value) -> Iterator[Value]:
    found = domain["common_model_vcpu_Vcpus"]
    return (found["table"][i].dereference() for i in range(int(found["filled"])) if int(found["table"][i]))


class Domains(Command):
    """hv-domains: all domains; `hv-domains N` everything of domain N."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        for domain in domains():
            if not argument:
                count = sum(1 for _ in vcpus(domain))
                head = domain.format_string(max_depth=0).partition(" = {")[0]
                frames = int(domain["config"]["frames"])
                gdb.write(f"{head}, {count} vCPUs, {frames >> 8} MiB, {int(domain['references'])} references\n")
            elif int(domain["id"]) == int(argument, 0):
                gdb.write(domain.format_string(max_depth=4, styling=True) + "\n")


class Vcpus(Command):
    """hv-vcpus: all vCPUs with their state, whether they are blocked, down or paused, and where they may run."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        for domain in domains():
            for vcpu in vcpus(domain):
                head = vcpu.format_string(max_depth=0).partition(" = {")[0]
                words = [name for name in ("blocked", "down", "running") if int(vcpu[name])]
                gdb.write(f"{head} {' '.join(words)}, {int(vcpu['pauses'])} pauses\n")


class PerCpu(Command):
    """hv-percpu CPU [CLASS]: the per-CPU data of a CPU, or of one class only, such as Timers."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        number, _, wanted = argument.partition(" ")
        area = gdb.parse_and_eval(f"cx_per_cpu[{int(number, 0)}]")
        for field in area.type.fields():
            name = self.program.debug["structures"].get(field.name, {"name": field.name})["name"]
            if not wanted or name.endswith(f".{wanted}") or name == wanted:
                gdb.write(f"{name} {area[field.name].format_string(max_depth=3)}\n")


class Log(Command):
    """hv-log [INDEX]: what the hypervisor's log keeps, after a crash too; from a byte's index on, such as the one that
    an earlier hv-log ended with. It has the lines of the hypervisor and of guests that the keyboard is not at.
    """

    def run(self, argument: str) -> None:
        in_view(self.program)
        ring = gdb.parse_and_eval("common_kernel_console_console")["log"]
        held = ring["bytes"]
        data = bytes(gdb.selected_inferior().read_memory(int(held.address), held.type.sizeof))
        since = int(argument, 0) if argument else None
        first, text = log.kept(data, int(ring["oldest"]), int(ring["end"]), since)
        gdb.write(text.decode(errors="replace"))
        gdb.write(f"bytes {first} to {(first + len(text)) % log.INDICES} of all that was logged\n")


class Tables(Command):
    """A command that walks tables. The second stage of x86 has the format of the first (NPT)."""

    @property
    def arm(self) -> bool:
        return "aarch64" in gdb.selected_frame().architecture().name()

    def show(self, form: tables.Format, root: int, address: int) -> None:
        with physical_memory():
            for step in tables.walk(form, root, address, word):
                to = "" if step.result is None else f" -> {step.result:#x}"
                gdb.write(f"height {step.height}  [{step.slot:#x}] = {step.entry:#018x}  {step.shown}{to}\n")


class Walk(Tables):
    """hv-walk ADDRESS: walks the hypervisor's own tables for a virtual address or expression."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        root = int(gdb.parse_and_eval("*(unsigned long *)&hypervisor_root"))
        address = int(gdb.parse_and_eval(self.program.expression(argument)).cast(gdb.lookup_type("unsigned long")))
        self.show(tables.ARM_STAGE1 if self.arm else tables.X86, root, address)


class P2m(Tables):
    """hv-p2m DOMAIN GFN: walks a domain's second stage for a guest frame number."""

    def run(self, argument: str) -> None:
        in_view(self.program)
        words = gdb.string_to_argv(argument)
        if len(words) != 2:
            raise ValueError("hv-p2m DOMAIN GFN: two numbers are wanted")
        wanted, gfn = (int(w, 0) for w in words)
        domain = next((d for d in domains() if int(d["id"]) == wanted), None)
        if domain is None:
            raise LookupError(f"there is no domain {wanted}; hv-domains lists them")
        root = int(domain["common_model_memory_DomainMemory"]["p2m"]["map"]["root"]) << tables.PAGE_SHIFT
        self.show(tables.ARM_STAGE2 if self.arm else tables.X86, root, gfn << tables.PAGE_SHIFT)


class Guest(Command):
    """hv-guest FILE [OFFSET]: adds a guest's symbols, such as a kernel's vmlinux, at OFFSET from where it was linked
    (its KASLR). Without words the guest's symbols go again.
    """

    def __init__(self, name: str, program: Program) -> None:
        super().__init__(name, program, gdb.COMMAND_FILES)
        self.added: str | None = None

    def run(self, argument: str) -> None:
        if self.added is not None:
            gdb.execute(f"remove-symbol-file {self.added}", to_string=True)
            self.added = None
        words = gdb.string_to_argv(argument)
        if not words:
            return
        offset = f" -o {int(words[1], 0):#x}" if len(words) > 1 else ""
        gdb.execute(f"add-symbol-file {words[0]}{offset}", to_string=True)
        self.added = words[0]
        gdb.write(f"symbols of {words[0]} added\n")


COMMANDS: dict[str, Callable[[str, Program], object]] = {
    "hv-break": Break,
    "hv-print": Print,
    "hv-domains": Domains,
    "hv-vcpus": Vcpus,
    "hv-percpu": PerCpu,
    "hv-log": Log,
    "hv-walk": Walk,
    "hv-p2m": P2m,
    "hv-guest": Guest,
}


def add(program: Program) -> None:
    for name, command in COMMANDS.items():
        command(name, program)
    FrameNames(program)
