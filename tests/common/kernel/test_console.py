"""The console: whose line is whose, who is typed to, and what is kept from the terminal."""

import re

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.common.host import KERNEL, MACHINE, SAMPLES, host

SIM = "hv.sim.console."
CTRL_A = "\x01"
GUESTS = 3


class Console:
    """A console as after power-on, with a port; guests are added by number from 0, which is domain 1."""

    def __init__(self, attached=True):
        for name in ("console.console", "console_input.console_input"):
            host().cleared(KERNEL + name)
        host().cleared(f"{SIM}guests")
        host().cleared_per_cpu(f"{KERNEL}softirq.Pending")
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

    def type(self, text):
        for byte in text.encode():
            host().call(f"{KERNEL}console_input.received", byte)
        host().call(f"{KERNEL}softirq.run_softirqs")
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


def test_a_line_that_is_not_finished_is_when_another_comes(console):
    console.add(0)
    console.add(1)
    console.write(0, "# ")
    assert console.line("news") == "\r\n(hv) news\r\n"
    assert console.write(0, "ls") == "(d1 linux1) ls"
    assert console.write(1, "hello\n") == "\r\n(d2 linux2) hello\r\n"
    assert console.write(0, "\n") == "(d1 linux1) \r\n"


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
    assert console.type(CTRL_A * 3) == "\r\n(hv) input to hypervisor\r\n"


def test_a_guest_that_loses_the_input_goes_on_by_lines(console):
    console.add(0)
    console.write(0, "half")
    console.type(CTRL_A * 3)
    assert console.write(0, " and half") == ""
    assert console.write(0, "\n") == "(d1 linux1)  and half\r\n"


def test_a_guest_that_goes_away(console):
    console.add(0)
    console.add(1)
    console.write(1, "last words")
    console.write(0, "# ")
    host().call(f"{SIM}remove_guest", 1)
    assert host().printed() == "\r\n(d2 linux2) last words\r\n"
    console.write(0, "# ")
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


class Interleaved(RuleBasedStateMachine):
    """In whatever order things are written, each line has one owner, and nothing is lost, moved or another's."""

    @initialize()
    def power_on(self):
        self.console = Console()
        self.out = "".join(self.console.add(number) for number in range(GUESTS))
        self.written = ["" for _ in range(GUESTS)]

    @rule(
        number=st.integers(0, GUESTS - 1),
        text=st.text("abc \r\n", max_size=20) | st.text("d", min_size=100, max_size=150),
    )
    def write(self, number, text):
        self.out += self.console.write(number, text)
        self.written[number] += text

    @rule(times=st.integers(1, 2))
    def switch(self, times):
        self.out += self.console.type(CTRL_A * 3 * times)

    @rule()
    def speak(self):
        self.out += self.console.line("news")

    def teardown(self):
        for number in range(GUESTS):
            host().call(f"{SIM}remove_guest", number)
        self.out += host().printed()
        said = ["" for _ in range(GUESTS)]
        assert self.out.endswith("\r\n")
        for line in self.out.split("\r\n")[:-1]:
            for part in line.split("\r"):  # a carriage return of a guest's is followed by its prefix again
                found = re.fullmatch(r"\((hv|d(\d) linux\2)\) (.*)", part)
                assert found, part
                if found.group(2):
                    said[int(found.group(2)) - 1] += found.group(3)
        assert said == [re.sub("[\r\n]", "", text) for text in self.written]


TestInterleaved = Interleaved.TestCase


def test_the_machine_keeps_what_is_printed():
    """Guards the tests above: the simulated port is what they read."""
    Console().line("x")
    assert host().variable(f"{MACHINE}machine").console_length == 0
