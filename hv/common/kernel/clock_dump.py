"""Debug key `t`: the time as each CPU has it, beside that of the CPU that asks.

A CPU reads its clock between the asking CPU's readings before and behind: so its clock is ahead by what is shown, give
or take half of the time that the answer took.
"""

from hv.arch import NEVER, cpu_id, now, ticks
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.survey import Answer, answer_of, survey
from hv.common.kernel.time import Ns, Ticks
from hv.common.kernel.timer import Timers
from hv.common.kernel.work import Progress
from hv.common.lib.text import TextBuffer
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, PerCpu, i64, u32

TEXT: Final = 160


class Reading(PerCpu):
    time: Ns
    ticks: Ticks


def read_clock() -> None:
    reading = Reading.this()
    reading.ticks = ticks()
    reading.time = now()


@keys.entry(character="t", help="shows the CPUs' clocks", shows=True)
def show_clocks(output: Output) -> Progress:
    cpu = online.next_from(output.row)
    if cpu == CONFIG_NR_CPUS:
        return Progress.DONE
    before = now() if output.part == 0 else survey.since
    match answer_of(output, cpu, read_clock):
        case Answer.COMING:
            return Progress.WAITING
        case Answer.OVERDUE:
            console.print(f"CPU {cpu} does not answer")
        case Answer.GIVEN:
            show_clock(cpu, before, now())
    output.row = cpu + 1
    return Progress.MORE


def show_clock(cpu: u32, before: Ns, behind: Ns) -> None:
    reading = Reading.on(cpu)
    clock = TextBuffer[TEXT]()
    clock.write(f"CPU {cpu}: {reading.time} ns, counter {reading.ticks:#x}")
    half = (behind - before) // 2
    ahead = i64(reading.time) - i64(before + half)
    if cpu != cpu_id():
        clock.write(f", {ahead} ns ahead, give or take {half}")
    timers = Timers.on(cpu)
    if timers.started and timers.alarm != NEVER:
        clock.write(f", alarm in {i64(timers.alarm) - i64(behind)} ns")
    console.print(f"{clock.text}")
