"""The debug keys of common code: importing this registers them."""

# ruff: noqa: F401

from hv.common.kernel import clock_dump, timer_dump
from hv.common.mm import heap_dump
from hv.common.model import memory_dump
from hv.common.sched import dump
from hv.config import CONFIG_EXIT_STATS, CONFIG_LOCK_PROFILE

if CONFIG_EXIT_STATS:
    from hv.common.kernel import exit_dump
if CONFIG_LOCK_PROFILE:
    from hv.common.kernel import lock_dump
