"""Guests on the hypervisor for x86, in QEMU's SVM: that they run, and that a machine which cannot run them says so."""

import re

import pytest
from console import assert_well, exits

from devtools import build
from devtools.boot import Options
from devtools.machine import Machine

pytestmark = pytest.mark.x86

SECONDS = 90
X2APICS = "the local APICs are x2APICs"
NEWER = [
    pytest.param(Options(emulator="newer-qemu", cpu=cpu, cpus=4), marks=pytest.mark.long)
    for cpu in ("EPYC,+svm,+x2apic", "max")
]
"""Machines whose CPUs have x2APIC."""


def named(options: Options) -> str:
    """A test's name for what it changes."""
    return "-".join(str(part) for part in (options.emulator, options.cpu, options.cpus) if part)


@pytest.mark.parametrize("options", [Options(cpu="EPYC,+svm"), Options(cpu="max"), *NEWER], ids=named)
def test_a_unikernel_finds_what_pvh_promises_and_ends_alone(booted, options: Options) -> None:
    """Start information, Xen's leaves, hypercalls by instruction and page, text by port. `max` has a virtual GIF. A
    hypercall with a prefix, whose end QEMU's SVM does not tell, harms that guest alone.
    """
    machine = booted("x86-pvh", options)
    machine.expect("guests run by SVM", SECONDS)
    machine.expect("(d1 pvh) memory 16 MiB, command line <from=grub>", SECONDS)
    machine.expect("(d1 pvh) in the middle of a prefixed hypercall", SECONDS)
    machine.expect("(d1 pvh) text by the port", SECONDS)
    machine.expect("0123456789" * 100, SECONDS)
    machine.expect("(d1 pvh) READY pvh", SECONDS)
    machine.expect("(d1 pvh) DONE pvh ok", SECONDS)
    machine.expect("(hv) d1 pvh: powered off", SECONDS)
    assert machine.running, machine.tail()


@pytest.mark.parametrize("cpu", ["max,-svm", "qemu64,-svm"])
def test_a_cpu_without_svm_is_told_and_the_hypervisor_goes_on(booted, cpu: str) -> None:
    machine = booted("x86-pvh", Options(cpu=cpu))
    machine.expect("no guest can run here: guests need a CPU with AMD SVM", SECONDS)
    machine.expect("2 of 2 CPUs run", SECONDS)
    machine.expect("pvh: guests need a CPU with AMD SVM: the domain is not built", SECONDS)
    idles(machine)


def test_a_build_without_guests_is_told_and_the_hypervisor_goes_on(booted) -> None:
    """One where the configuration left SVM out, and with it guests."""
    machine = booted("x86-pvh", Options(hypervisor=build.build("x86_alone")))
    machine.expect("2 of 2 CPUs run", SECONDS)
    machine.expect("(hv) no guest can run here: guests need a build with CONFIG_HVM", SECONDS)
    machine.expect("(hv) pvh: guests need a build with CONFIG_HVM: the domain is not built", SECONDS)
    idles(machine)
    assert "SVM" not in machine.output


def idles(machine: Machine) -> None:
    """Each CPU has nothing to do, and the hypervisor answers keys."""
    machine.send("r")
    for cpu in range(2):
        machine.expect(f"(hv) CPU {cpu}: idle", SECONDS)
    machine.send("qu")
    machine.expect("frames are free", SECONDS)
    assert "(hv) d1" not in machine.output
    assert_well(machine)


@pytest.mark.parametrize("options", [Options(cpus=3), Options(cpus=1), *NEWER], ids=named)
def test_a_unikernel_lives_by_its_local_apic(booted, options: Options) -> None:
    """The timer's three modes, interrupts held back by IF and CR8, NMIs, a second vCPU that is started by INIT and
    STARTUP, again and again while it runs; the vCPUs share a CPU too.
    """
    machine = booted("x86-interrupts", options)
    machine.expect(X2APICS if options.emulator else "the local APICs are xAPICs", SECONDS)
    modes = ("by memory", "one-shot", "periodic", "deadline")
    for what in (*modes, "held back", "NMIs", "another CPU", "again and again", "READY interrupts"):
        machine.expect(f"(d1 interrupts) {what}", SECONDS)
    machine.expect("(d1 interrupts) DONE interrupts ok", SECONDS)
    machine.expect("(hv) d1 interrupts: powered off", SECONDS)


@pytest.mark.parametrize("cpus", [2, 1])
def test_guests_stay_off_a_cpu_that_could_not_run_them_safely(booted, cpus: int) -> None:
    """QEMU's first of several; the guest's two CPUs share the other. It runs on the first when that is alone."""
    machine = booted("x86-events", Options(cpus=cpus, added="conswitch=ax"))
    machine.expect("(d1 events) another CPU", SECONDS)
    machine.send("r")
    machine.expect(r"CPU 0: runs no vCPUs" if cpus > 1 else re.compile(r"CPU 0: (idle|d1 events)"), SECONDS)
    assert ("CPU 0 runs no guests" in machine.output) == (cpus > 1)
    assert_well(machine)


@pytest.mark.parametrize("options", [Options(cpus=3), Options(cpus=1), *NEWER], ids=named)
def test_a_unikernel_lives_by_event_channels(booted, options: Options) -> None:
    """Upcalls by vector and through the local APIC, masks, channels with both ends here, virtual interrupts, timers,
    polling, runstates, and the time that the hypervisor tells; the vCPUs share a CPU too.
    """
    machine = booted("x86-events", options)
    for what in ("time", "vcpu_info", "by vector", "masked", "loop back", "timers", "poll", "runstate", "another CPU"):
        machine.expect(f"(d1 events) {what}", SECONDS)
    machine.expect("(d1 events) by the local APIC", SECONDS)
    machine.expect("(d1 events) DONE events ok", SECONDS)
    machine.expect("(hv) d1 events: powered off", SECONDS)


@pytest.mark.parametrize("emulator", ["qemu", pytest.param("newer-qemu", marks=pytest.mark.long)])
def test_a_unikernel_changes_its_components_and_keeps_them(booted, emulator: str) -> None:
    """XSETBV, and two vCPUs that share a CPU, with other components each. QEMU 7.2 ignores the intercept: there the CPU
    itself refuses and enables, by the same rules, and the hypervisor finds out when it saves the vCPU's state.
    """
    machine = booted("x86-components", Options(emulator=emulator, hypervisor=build.build("x86_exits")))
    for what in ("refused", "enabled", "DONE components ok"):
        machine.expect(f"(d1 components) {what}", SECONDS)
    machine.expect("(hv) d1 components: powered off", SECONDS)
    machine.expect("(hv) input to hypervisor", SECONDS)
    often = sum(count for reason, count, _ in exits(machine) if reason == "XSETBV")
    assert often > 360 if emulator == "newer-qemu" else often == 0


def test_a_unikernel_shares_memory_tables_and_a_console(booted) -> None:
    """Memory that is given back and comes again, frames of the grant table, calls from 32-bit code, and the console's
    rings, out of which comes more than they hold and into which goes what is typed.
    """
    machine = booted("x86-shared")
    for what in ("reservation", "grant table", "32-bit code"):
        machine.expect(f"(d1 shared) {what}", SECONDS)
    for _ in range(50):
        machine.expect("0123456789" * 9 + "012345678", SECONDS)
    machine.expect("(d1 shared) READY shared", SECONDS)
    machine.send("A")
    machine.expect("(d1 shared) typed 65", SECONDS)
    machine.expect("(d1 shared) DONE shared ok", SECONDS)


SWITCHED = range(1, 10)


def done(number: int) -> str:
    return f"(d{number} switched{number}) DONE switched{number} ok"


def test_more_vcpus_than_address_spaces_share_a_cpu_and_keep_what_is_theirs(booted) -> None:
    """18 vCPUs on one CPU with 16 ASIDs: memory, XCR0, TSC_AUX. QEMU's SVM ignores the intercepts of XSETBV and RDTSCP.

    Beside them one asks for a state that VMRUN does not take, which QEMU tells with the hypervisor's own RIP: that one
    ends, with one line that names it.
    """
    machine = booted("x86-switched")
    machine.expect_all((done(number) for number in SWITCHED), SECONDS)
    assert "READY switched1 XSAVE True RDTSCP True" in machine.output
    (ended,) = re.findall(r"\(hv\) d10 [^\r\n]*", machine.output)
    assert ended == (
        "(hv) d10 switched10 vcpu0: its registers are in a state that no CPU can be in, and lost; exit 0xffffffff "
        "at rip 0x0: the guest ends"
    )
    assert_well(machine)


@pytest.mark.bochs
@pytest.mark.long
@pytest.mark.parametrize("guest", ["pvh", "interrupts", "components", "hostile"])
def test_unikernels_run_in_another_svm(booted, guest: str) -> None:
    """Bochs': with next-RIP save, with which a prefixed hypercall ends where it ends, PAUSE filter, flushes by ASID."""
    machine = booted(f"x86-{guest}-bochs")
    machine.expect(f"(d1 {guest}) DONE {guest} ok", 300)
    machine.expect(f"(hv) d1 {guest}: powered off", SECONDS)
    assert guest != "pvh" or "(d1 pvh) behind a prefixed hypercall" in machine.output
    assert_well(machine)


@pytest.mark.bochs
@pytest.mark.long
def test_vcpus_that_share_a_cpu_keep_what_is_theirs_in_another_svm(booted) -> None:
    """Bochs heeds all intercepts, and the guest that asks for a state that no CPU can be in gets an exception."""
    machine = booted("x86-switched-bochs")
    machine.expect_all((done(number) for number in (*SWITCHED, 10)), SECONDS)
    assert "(d10 switched10) exception 13" in machine.output
    assert_well(machine)
