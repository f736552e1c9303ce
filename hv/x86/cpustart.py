"""What every CPU sets up for itself before it takes part: modules add theirs to `cpu_starts`."""

from hv.lang import Callable, Final, Registry, value


@value
class CpuStart:
    run: Callable[[], None]


cpu_starts: Final = Registry[CpuStart]()


def start_this_cpu() -> None:
    for start in cpu_starts:
        start.run()
