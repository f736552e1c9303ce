"""Which vCPU's state is in this CPU's registers."""

from hv.common.model.vcpu import Vcpu
from hv.lang import PerCpu


class Loaded(PerCpu):
    vcpu: Vcpu | None


def loaded_vcpu() -> Vcpu | None:
    return Loaded.this().vcpu


def set_loaded(vcpu: Vcpu | None) -> None:
    Loaded.this().vcpu = vcpu
