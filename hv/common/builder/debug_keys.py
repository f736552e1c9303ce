"""The debug keys of common code: importing this registers them."""

# ruff: noqa: F401

from hv.common.kernel import clock_dump, timer_dump
from hv.common.sched import dump
from hv.config import CONFIG_EXIT_STATS

if CONFIG_EXIT_STATS:
    from hv.common.kernel import exit_dump
