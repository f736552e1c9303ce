"""Debug keys of exits: `p` shows for how long guests' exits keep CPUs, `P` forgets it (exit_stats.py)."""

from hv.arch import elapsed, exit_reason
from hv.common.kernel.console import console
from hv.common.kernel.exit_stats import STEP, WAKE_UP, Record, Records, Runs
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.survey import ask_each
from hv.common.kernel.time import Ticks
from hv.common.kernel.work import Progress
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, u32

machine_records: Final = Records()


@keys.entry(character="p", help="shows for how long guests' exits keep CPUs", shows=True)
def show(output: Output) -> Progress:
    if output.row == 0 and output.part == 0:
        machine_records.clear()
    if output.row < CONFIG_NR_CPUS:
        progress = ask_each(output, merge)
        if progress != Progress.DONE:
            return progress
    reason = output.row - CONFIG_NR_CPUS
    if reason == 0:
        console.print("exits: reason, how often, mean and longest in ns, and where that was")
    for i, record in enumerate(machine_records.of):
        if u32(i) >= reason and record.count != 0:
            print_record(reason_in_words(u32(i)), record)
            output.row = CONFIG_NR_CPUS + u32(i) + 1
            return Progress.MORE
    return Progress.DONE


@keys.entry(character="P", help="forgets what p shows", shows=False)
def forget(output: Output) -> Progress:
    progress = ask_each(output, clear)
    if progress == Progress.DONE:
        console.print("exits: all counts are zero")
    return progress


def merge() -> None:
    """Adds this CPU's records to the machine's."""
    for reason, record in enumerate(machine_records.of):
        record.merge(Runs.this().records.of[reason])


def clear() -> None:
    Runs.this().records.clear()


def print_record(name: str, record: Record) -> None:
    mean = elapsed(Ticks(record.total // record.count))
    longest = elapsed(Ticks(record.longest))
    console.print(f"  {name}: {record.count}, mean {mean}, longest {longest} on CPU {record.cpu}")


def reason_in_words(reason: u32) -> str:
    if reason == WAKE_UP:
        return "end of sleep"
    if reason == STEP:
        return "step of long work"
    return exit_reason(reason)
