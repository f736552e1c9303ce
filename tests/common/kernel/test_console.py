"""The console: whose line is whose, who is typed to, and what is kept from the terminal."""

import re

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.host import KERNEL, MACHINE, SAMPLES, host

SIM = "hv.sim.console."
CTRL_A = "\x01"
GUESTS = 3
LINE = 128


class Console:
    """A console as after power-on, with a port; guests are added by number from 0, which is domain 1."""

    def __init__(self, attached=True):
        for name in ("console.console", "console_input.console_input"):
            host().cleared(KERNEL + name)
        host().cleared(f"{SIM}guests")
        host().cleared_per_cpu(f"{KERNEL}softirq.Pending")
        host().cleared_per_cpu(f"{KERNEL}work.WorkQueue")
        host().cleared_per_cpu(f"{KERNEL}timer.Timers")
        host().cleared(f"{KERNEL}keys.pressed")
        host().variable(f"{KERNEL}console_input.switch_character")[0] = 1
        host().enter(0)
        host().printed()
        if attached:
            self.attach()

    def attach(self):
        host().call(f"{SIM}attach")

    def add(self, number, name=None):
        # The console refers to the name: it has to live as long as the guest does.
        host().call(f"{SIM}add_guest", number, name or f"linux{number + 1}")
        return host().printed()

    def guest(self, number):
        return host().variable(f"{SIM}guests")[number]

    def write(self, number, data):
        for byte in data.encode() if isinstance(data, str) else data:
            host().call(
                f"{KERNEL}console.GuestConsole.write", host().ffi.addressof(self.guest(number), "console"), byte
            )
        return host().printed()

    def line(self, text):
        host().call(f"{SAMPLES}print_line", text)
        return host().printed()

    def cry(self, text):
        host().call(f"{SAMPLES}print_anyway", text)
        return host().printed()

    def type(self, text):
        for byte in text.encode():
            host().call(f"{KERNEL}console_input.received", byte)
        host().call(f"{KERNEL}softirq.run_softirqs")
        while host().call(f"{KERNEL}work.do_step"):
            pass
        return host().printed()

    def typed(self, number):
        """What the guest has received since the last call."""
        ring, found = self.guest(number).typed, []
        while ring.taken != ring.added:
            found.append(ring.items[ring.taken % 64])
            ring.taken += 1
        return bytes(found).decode()

    def option(self, line):
        host().call(f"{KERNEL}cmdline.read_command_line", line)
        return host().printed()


@pytest.fixture
def console():
    return Console()


def test_lines_of_the_hypervisor(console):
    assert console.line("first") == "(hv) first\r\n"


def test_what_is_printed_before_there_is_a_port_comes_later():
    console = Console(attached=False)
    assert console.line("early") == ""
    console.attach()
    assert host().printed() == "(hv) early\r\n"
    assert console.line("late") == "(hv) late\r\n"


def test_the_first_guest_gets_the_input(console):
    assert console.add(0) == "(hv) input to d1 linux1\r\n"
    assert console.add(1) == ""
    console.type("ab")
    assert console.typed(0) == "ab"
    assert console.typed(1) == ""


def test_a_guest_without_the_input_is_printed_by_lines(console):
    console.add(0)
    console.add(1)
    assert console.write(1, "login: ") == ""
    assert console.write(1, "x\r\n") == "(d2 linux2) login: x\r\n"
    assert console.write(1, "\n") == "(d2 linux2) \r\n"


def test_a_long_line_is_printed_in_parts(console):
    console.add(0)
    console.add(1)
    assert console.write(1, "a" * 128) == ""
    assert console.write(1, "b") == "(d2 linux2) " + "a" * 128 + "\r\n"
    assert console.write(1, "\n") == "(d2 linux2) b\r\n"


def test_the_guest_with_the_input_is_printed_at_once(console):
    console.add(0)
    assert console.write(0, "# ") == "(d1 linux1) # "
    assert console.write(0, "ls") == "ls"
    assert console.write(0, "\r\n") == "\r\n"
    assert console.write(0, "\r\n") == "(d1 linux1) \r\n"
    assert console.write(0, "x") == "(d1 linux1) x"


def test_another_line_is_printed_over_an_unfinished_one_which_comes_again_below(console):
    console.add(0)
    console.add(1)
    console.write(0, "# ")
    assert console.line("news") == "\r(hv) news     \r\n(d1 linux1) # "  # spaces cover the rest of what stood there
    assert console.write(0, "ls") == "ls"
    assert console.write(1, "hello\n") == "\r(d2 linux2) hello\r\n(d1 linux1) # ls"
    assert console.write(0, "\n") == "\r\n"


def test_a_line_that_is_edited_comes_again_as_it_is_and_with_its_cursor(console):
    console.add(0)
    console.write(0, "# lx\b \bs -a\b\b\x1b[D")
    assert console.line("news").endswith("(d1 linux1) # ls -a\b\b\b")
    console.write(0, "\x1b[J\x1b[31m1")
    assert console.line("news").endswith("\r\n(d1 linux1) # ls1")
    console.write(0, "\b" * 9 + "x\x1b[99C!\r% ")
    assert console.line("news").endswith("\r\n(d1 linux1) % ls1!" + "\b" * 4)
    console.write(0, "\x1b[2Kgone")
    assert console.line("news").endswith("\r\n(d1 linux1) gone")


def test_a_backspace_leaves_the_prefix_alone(console):
    console.add(0)
    assert console.write(0, "ab\b\b\b\bc") == "(d1 linux1) ab\b\bc"


def test_a_line_that_comes_into_an_escape_sequence_ends_it(console):
    console.add(0)
    console.write(0, "# \x1b[3")
    assert console.line("news") == "\x18\r(hv) news     \r\n(d1 linux1) # "
    assert console.write(0, "1mx") == "x"


def test_a_line_that_is_too_long_to_be_shown_again_goes_on_below(console):
    console.add(0)
    console.write(0, "a" * 129)
    assert console.line("news") == "\r\n(hv) news\r\n"
    assert console.write(0, "b") == "(d1 linux1) b"


def test_a_panic_leaves_what_stands_there(console):
    console.add(0)
    console.write(0, "# ")
    assert console.cry("broken") == "\r\n(hv) broken\r\n"


def test_a_carriage_return_puts_the_prefix_back(console):
    """So a guest cannot write over it."""
    console.add(0)
    assert console.write(0, "10%\r20%") == "(d1 linux1) 10%\r(d1 linux1) 20%"
    assert console.write(0, "\n\r\rx") == "\r\n(d1 linux1) x"


def test_control_characters_of_a_guest_without_the_input_do_not_reach_the_terminal(console):
    console.add(0)
    console.add(1)
    written = b"a\x1b[31;1mred\x1b[0m\x1bc\x07\x08b\tc\x7f\rd\x00\xc3\xa4\n"
    assert console.write(1, written) == "(d2 linux2) aredb\tcdä\r\n"


def test_those_of_the_guest_with_the_input_do(console):
    console.add(0)
    assert console.write(0, b"\x1b[31mx") == "(d1 linux1) \x1b[31mx"


def test_the_order_of_the_input(console):
    for number in range(3):
        console.add(number)
    told = "".join(console.type(CTRL_A * 3) for _ in range(4))
    assert re.findall("input to (.*)\r\n", told) == ["d2 linux2", "d3 linux3", "hypervisor", "d1 linux1"]


def test_fewer_than_three_are_passed_on(console):
    console.add(0)
    assert console.type("x" + CTRL_A) == ""
    assert console.typed(0) == "x"
    console.type(CTRL_A)
    assert console.typed(0) == ""
    console.type("k" + CTRL_A + "l")
    assert console.typed(0) == CTRL_A * 2 + "k" + CTRL_A + "l"
    assert console.type(CTRL_A * 3 + "h") != ""
    assert console.typed(0) == ""


def test_a_guest_that_gets_the_input_shows_its_prompt(console):
    console.add(0)
    console.add(1)
    console.write(1, "# ")
    assert console.type(CTRL_A * 3) == "(hv) input to d2 linux2\r\n(d2 linux2) # "
    assert console.write(1, "a") == "a"
    assert console.type(CTRL_A * 3) == "\r(hv) input to hypervisor\r\n"
    assert console.type(CTRL_A * 6).endswith("(hv) input to d2 linux2\r\n(d2 linux2) # a")


def test_a_guest_that_loses_the_input_goes_on_by_lines(console):
    console.add(0)
    console.write(0, "half")
    console.type(CTRL_A * 3)
    assert console.write(0, " and half") == ""
    assert console.write(0, "\n") == "(d1 linux1) half and half\r\n"


def test_a_guest_that_goes_away(console):
    console.add(0)
    console.add(1)
    console.write(1, "last words")
    console.write(0, "# ")
    host().call(f"{SIM}remove_guest", 1)
    assert host().printed() == "\r(d2 linux2) last words\r\n(d1 linux1) # "
    host().call(f"{SIM}remove_guest", 0)
    assert host().printed() == "\r\n(hv) input to hypervisor\r\n"
    assert console.type(CTRL_A * 3) == "(hv) input to hypervisor\r\n"
    assert console.add(0) == ""


def test_a_guest_that_is_reset_has_the_input_again(console):
    console.add(0)
    console.add(1)
    host().call(f"{SIM}remove_guest", 0)
    host().printed()
    assert console.add(0) == "(hv) input to d1 linux1\r\n"
    host().call(f"{SIM}remove_guest", 0)
    console.type(CTRL_A * 3)  # somebody has chosen another meanwhile
    host().printed()
    assert console.add(0) == ""


def test_keys(console):
    assert "(hv) h: lists the keys\r\n" in console.type("h")
    assert console.type("\x02") == "(hv) no such key: h lists those that there are\r\n"


def test_another_switch_character(console):
    assert console.option("conswitch=b") == ""
    console.add(0)
    assert console.type("\x02\x02\x02") == "(hv) input to hypervisor\r\n"


def test_the_input_can_stay_with_the_hypervisor(console):
    assert console.option("conswitch=Ax") == ""
    assert console.add(0) == ""
    assert console.type(CTRL_A * 3) == "(hv) input to d1 linux1\r\n"


@pytest.mark.parametrize("value", ["", "1", "abx", "ay", "{", "@"])
def test_no_switch_character(console, value):
    assert "has a value that it cannot take" in console.option(f"conswitch={value}")


def test_typing_ahead_of_the_ring_is_dropped(console):
    console.add(0)
    for _ in range(300):
        host().call(f"{KERNEL}console_input.received", ord("x"))
    host().call(f"{KERNEL}softirq.run_softirqs")
    assert console.typed(0) == "x" * 64  # as many as the guest takes


class Terminal:
    """What a terminal of endless width shows of what is sent to it: rows of characters, the last one unfinished."""

    def __init__(self):
        self.rows, self.row, self.column = [], [], 0

    def send(self, text):
        for character in text:
            if character == "\n":
                self.rows.append("".join(self.row).rstrip())
                self.row, self.column = [], 0
            elif character == "\r":
                self.column = 0
            elif character == "\b":
                self.column = max(self.column - 1, 0)
            else:
                self.row[self.column : self.column + 1] = [character]
                self.column += 1


class Writer:
    """The lines that a terminal of its own would show of a guest. Without the focus nothing moves the cursor."""

    def __init__(self):
        self.lines, self.line, self.column, self.returned = [], [], 0, False

    def write(self, text, focused):
        for character in text:
            if character == "\n":
                self.end()
            elif character == "\r":
                self.returned = focused
            elif character == "\b":
                if focused:
                    self.column = max(0 if self.returned else self.column - 1, 0)
                    self.returned = False
            else:
                if not focused and len(self.line) == LINE:
                    self.end()
                if self.returned or not focused:
                    self.column = 0 if self.returned else len(self.line)
                self.returned = False
                self.line[self.column : self.column + 1] = [character]
                self.column += 1

    def end(self):
        self.lines.append("".join(self.line).rstrip())
        self.line, self.column, self.returned = [], 0, False

    def focus(self):
        """The focus came or went."""
        self.returned, self.column = False, len(self.line)


class Interleaved(RuleBasedStateMachine):
    """In whatever order things are written, a terminal shows whole lines: each one's as if it were alone, in their
    order and with its name, and below them the unfinished line of the guest with the focus."""

    @initialize()
    def power_on(self):
        self.console = Console()
        self.terminal = Terminal()
        for number in range(GUESTS):
            self.terminal.send(self.console.add(number))
        self.writers = [Writer() for _ in range(GUESTS)]
        self.focused = 0  # GUESTS: the hypervisor
        self.news = 0

    def line_comes(self):
        """What is too long to be shown again is ended by a line of another."""
        if self.focused < GUESTS and len(self.writers[self.focused].line) > LINE:
            self.writers[self.focused].end()

    @rule(
        number=st.integers(0, GUESTS - 1),
        text=st.text("abc \b\r\n", max_size=20) | st.text("d", min_size=60, max_size=150),
    )
    def write(self, number, text):
        writer = self.writers[number]
        if number == self.focused:
            writer.write(text, True)
            self.terminal.send(self.console.write(number, text))
        else:
            for character in text:
                before = len(writer.lines)
                writer.write(character, False)
                if len(writer.lines) > before:
                    self.line_comes()
            self.terminal.send(self.console.write(number, text))

    @rule()
    def switch(self):
        self.line_comes()
        if self.focused < GUESTS:
            self.writers[self.focused].focus()
        self.focused = (self.focused + 1) % (GUESTS + 1)
        if self.focused < GUESTS:
            self.writers[self.focused].focus()
        self.terminal.send(self.console.type(CTRL_A * 3))

    @rule()
    def speak(self):
        self.line_comes()
        self.news += 1
        self.terminal.send(self.console.line(f"news {self.news}"))

    @invariant()
    def whole_lines(self):
        shown = [[] for _ in range(GUESTS)]
        said = []
        for row in self.terminal.rows:
            found = re.fullmatch(r"\((hv|d(\d) linux\2)\) ?(.*)", row)
            assert found, row
            (shown[int(found.group(2)) - 1] if found.group(2) else said).append(found.group(3))
        for lines, writer in zip(shown, self.writers, strict=True):
            assert lines == writer.lines
        assert [line for line in said if line.startswith("news")] == [f"news {n + 1}" for n in range(self.news)]

    @invariant()
    def the_unfinished_line_stands_below(self):
        row = "".join(self.terminal.row)
        line = "".join(self.writers[self.focused].line) if self.focused < GUESTS else ""
        prefix = f"(d{self.focused + 1} linux{self.focused + 1}) "
        assert row == prefix + line or (row == "" and not line)
        if line and not self.writers[self.focused].returned:
            assert self.terminal.column == len(prefix) + self.writers[self.focused].column


TestInterleaved = Interleaved.TestCase


def test_the_machine_keeps_what_is_printed():
    """Guards the tests above: the simulated port is what they read."""
    Console().line("x")
    assert host().variable(f"{MACHINE}machine").console_length == 0
