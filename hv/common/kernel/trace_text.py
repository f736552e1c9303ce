"""Trace records as text: time in ticks, the event's name, and its words by name.

For a panic and for a debug key: it takes no lock, and any numbers at all may stand in a record.
"""

from hv.common.kernel.trace_events import MAX_EXTRA, Event, arguments
from hv.common.kernel.trace_ring import TraceRecord
from hv.common.lib.parse import Fields
from hv.common.lib.text import TextBuffer
from hv.lang import Final, u32

LINE: Final = 160
RUNSTATE: Final[u32] = 0xF


class RecordText:
    text: TextBuffer[LINE]

    def write(self, record: TraceRecord) -> str:
        """A reference to this object itself."""
        self.text.clear()
        self.text.write(f"{record.at} {record.event.name}")
        if record.event == Event.SCHED_RUNSTATE_CHANGE:
            self._runstates(record.variant)
        count = min(record.count, MAX_EXTRA)
        named: u32 = 0
        for name in Fields(arguments(record.event), ","):
            if named < count:
                self._word(name, record.extra[named])
                named += 1
        return self.text.text

    def _runstates(self, variant: u32) -> None:
        """RUNSTATE_* of public/vcpu.h."""
        self.text.write(f" {runstate_name(variant >> 8 & RUNSTATE)}->{runstate_name(variant >> 4 & RUNSTATE)}")

    def _word(self, name: str, word: u32) -> None:
        if name == "domain+vcpu":
            self.text.write(f" d{word >> 16}v{word & 0xFFFF}")
        elif name.startswith("pc"):
            self.text.write(f" {name}={word:#x}")
        else:
            self.text.write(f" {name}={word}")


def runstate_name(runstate: u32) -> str:
    match runstate:
        case 0:
            return "running"
        case 1:
            return "runnable"
        case 2:
            return "blocked"
        case 3:
            return "offline"
        case _:
            return "?"
