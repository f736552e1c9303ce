"""Setting up what guests need of this machine, once, on the boot CPU: before the CPUs set themselves up."""

from hv.common.control import console_io, sched_op, xen_version  # noqa: F401 (registries)
from hv.common.kernel.log import info
from hv.common.model.vcpu import architecture
from hv.config import CONFIG_SVM
from hv.x86.hvm.hypercall_page import page
from hv.x86.hvm.vcpu import vcpu_machine
from hv.x86.hvm.virtualisation import choose_extension, chosen

if CONFIG_SVM:
    from hv.x86.svm import exits  # noqa: F401 (the assembly needs it)


def start_guests() -> None:
    choose_extension()
    page.fill()
    architecture.vcpus = vcpu_machine
    hindrance = vcpu_machine.hindrance()
    if hindrance == "":
        info(f"guests run by {chosen.extension.name()}")
    else:
        info(f"no guest can run here: {hindrance}")
