"""The configuration's symbols as mypy sees them; the build gives them their values from Kconfig."""

CONFIG_BRANCH_GUARD: bool
CONFIG_DEBUG: bool
CONFIG_ERRATUM_826319: bool
CONFIG_ERRATUM_832075: bool
CONFIG_ERRATUM_834220: bool
CONFIG_ERRATUM_843419: bool
CONFIG_ERRATUM_1319367: bool
CONFIG_NR_CPUS: int
CONFIG_GICV2: bool
CONFIG_GICV3: bool
CONFIG_NS16550: bool
CONFIG_PL011: bool
CONFIG_SCHED_FAIR: bool
CONFIG_TRACE: bool
CONFIG_VPL011: bool

def __getattr__(name: str) -> int: ...
