"""What errata.py has found that code elsewhere has to do otherwise on this machine. Read on hot paths: a load and a
branch that is always predicted.

Set when CPUs start, never cleared.
"""

from hv.lang import Final


class Workarounds:
    distrusts_fault_address: bool  # HPFAR_EL2 may be wrong: what faulted is translated anew
    closes_walks: bool  # no walk of a guest's tables may begin while VTTBR_EL2 and the guest's registers disagree
    invalidates_when_cleaning: bool  # cleaning a cache line alone may lose data


workarounds: Final = Workarounds()
