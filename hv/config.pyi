"""The configuration's symbols as mypy sees them; the build gives them their values from Kconfig."""

CONFIG_DEBUG: bool
CONFIG_NR_CPUS: int
CONFIG_GICV2: bool
CONFIG_GICV3: bool
CONFIG_PL011: bool
CONFIG_SCHED_RR: bool
CONFIG_VPL011: bool

def __getattr__(name: str) -> int: ...
