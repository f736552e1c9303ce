"""What was printed can be read later: each byte once, by its index, as far as it is still there."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.host import KERNEL, SAMPLES, host
from tests.common.kernel.test_console import CTRL_A, Console

SIZE = 16384
WRAP = 2**32
RING = f"{KERNEL}log_ring.LogRing[{SIZE}]."


class Log:
    def __init__(self, first=0):
        self.console = Console()
        self.ring = host().ffi.addressof(host().variable(f"{KERNEL}console.console"), "log")
        self.ring.oldest = self.ring.end = first

    def call(self, function, *arguments):
        return host().call(RING + function, self.ring, *arguments)

    def read(self, index=0, incremental=False, count=2 * SIZE, clear=False):
        """As XEN_SYSCTL_readconsole: the text, and the index to go on at."""
        at, text = self.call("begin", index, incremental), ""
        while piece := self.call("piece", at, count - len(text)):
            text += piece
            at = (at + len(piece)) % WRAP
        if clear:
            self.call("clear", at)
        return text, at


class AgainstModel(RuleBasedStateMachine):
    """The model keeps all that was ever printed; indices are those of Python, without a wrap."""

    @initialize(first=st.sampled_from([0, 1, WRAP - 1, WRAP - SIZE, WRAP - 100]) | st.integers(0, WRAP - 1))
    def power_on(self, first):
        self.log = Log(first)
        self.first = self.oldest = self.reader = first
        self.all = ""

    @property
    def end(self):
        return self.first + len(self.all)

    def model(self, start, count=2 * SIZE):
        return self.all[start - self.first :][:count]

    @rule(text=st.text("abcdefgh\n", max_size=50), times=st.integers(1, 9) | st.sampled_from([400, 1000]))
    def put(self, text, times):
        self.log.call("put", text * times)
        self.all += text * times
        self.oldest = max(self.oldest, self.end - SIZE)

    @rule(count=st.integers(0, 300) | st.integers(0, 2 * SIZE), clear=st.booleans())
    def read_from_the_oldest(self, count, clear):
        text, at = self.log.read(count=count, clear=clear)
        assert text == self.model(self.oldest, count)
        assert at == (self.oldest + len(text)) % WRAP
        if clear:
            self.oldest += len(text)

    @rule(count=st.integers(0, 300) | st.integers(0, 2 * SIZE), clear=st.booleans())
    def follow(self, count, clear):
        """A reader that goes on where it was: it misses only what was overwritten or cleared."""
        text, at = self.log.read(self.reader % WRAP, True, count, clear)
        start = max(self.reader, self.oldest)
        assert text == self.model(start, count)
        self.reader = start + len(text)
        assert at == self.reader % WRAP
        if clear:
            self.oldest = self.reader

    @rule(index=st.integers(0, WRAP - 1))
    def any_index(self, index):
        """Nothing that a tool may ask for reads what is not there."""
        text, _ = self.log.read(index, True)
        held = {(self.oldest + i) % WRAP: i for i in range(self.end - self.oldest + 1)}
        assert text == self.model(self.oldest + held.get(index, 0))

    @invariant()
    def bounded(self):
        if hasattr(self, "log"):
            assert (self.log.ring.oldest, self.log.ring.end) == (self.oldest % WRAP, self.end % WRAP)


TestLogRing = AgainstModel.TestCase


def test_lines_of_the_hypervisor_and_of_guests_without_the_focus_are_kept():
    log = Log()
    log.console.add(0)
    log.console.add(1)
    log.console.line("news")
    log.console.write(0, "a prompt, and what is typed\n")
    log.console.write(1, "one\ntwo\n\x1b[2Jthree")
    text, at = log.read(clear=True)
    assert text == "(hv) input to d1 linux1\n(hv) news\n(d2 linux2) one\n(d2 linux2) two\n"
    host().call("hv.sim.console.remove_guest", 1)
    assert log.read(at, True)[0] == "(d2 linux2) three\n"
    log.console.type(CTRL_A * 3)
    assert log.read(0)[0] == "(d2 linux2) three\n(hv) input to hypervisor\n"


def test_what_is_printed_before_there_is_a_port_is_kept_too():
    log = Log()
    log.console = Console(attached=False)
    host().call(f"{SAMPLES}print_line", "early")
    assert log.read()[0] == "(hv) early\n"
