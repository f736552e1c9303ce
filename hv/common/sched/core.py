"""The scheduler's core: the states of vCPUs, the switch from one to another, and what a CPU does on its way out of
the hypervisor.

Every exit of a guest is handled to its end on the CPU's one stack. What changes who is to run only raises softirq
SCHEDULE, on the CPU that it concerns; `leave` runs the softirqs, so there the switch happens, and answers which vCPU
is to be entered. When there is none it is the idle loop: it waits for interrupts and does long work, until there is
one again.

A vCPU that runs on a CPU is its `Processor.current`. Its state may be in that CPU's registers until another is
chosen: then it is saved under the CPU's lock, before anybody can see that it may be taken elsewhere. A wake-up is not
lost: who makes an interrupt pending does that first and calls `wake` afterwards, and `block` looks for interrupts
after it has marked the vCPU as blocked.

Functions here are called without the locks of the scheduler, and without any of a higher rank: not by who holds a
lock of the vGIC.
"""

from hv.arch import NEVER, cpu_id, now, poll_interrupts, send_ipi, wait_for_interrupt
from hv.common.kernel.options import options
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, handlers, raise_on, raise_softirq, run_softirqs, softirqs_pending
from hv.common.kernel.spinlock import Held, assert_none_held
from hv.common.kernel.time import Ns
from hv.common.kernel.timer import TimerOwner
from hv.common.kernel.trace import trace0, trace2, trace_idle, trace_runstate, trace_switch, trace_woken
from hv.common.kernel.trace_events import IDLE_DOMAIN, Event
from hv.common.kernel.work import do_step
from hv.common.lib.bitmap import Bitmap
from hv.common.model.domain import Domain, ShutdownReason
from hv.common.model.ending import shut_down
from hv.common.model.vcpu import CPU_WORDS, RunState, Vcpu, Vcpus, architecture, create_vcpu, destroy_vcpu
from hv.common.sched.processor import Processor, locked
from hv.common.sched.scheduler import Scheduler, schedulers
from hv.config import CONFIG_EXIT_STATS, CONFIG_SCHED_FAIR, CONFIG_WATCHDOG
from hv.lang import Callable, Errno, Final, Never, raises, rarely, u8, u16, u32, u64, unbounded

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import WAKE_UP, begin_run, end_run

if CONFIG_SCHED_FAIR:
    from hv.common.sched import fair_share  # noqa: F401 (registers itself)
if CONFIG_WATCHDOG:
    from hv.common.sched import evidence  # noqa: F401 (adds to what is told of a CPU that hangs)


class Scheduling:
    scheduler: Scheduler
    chosen: bool


scheduling: Final = Scheduling()


def start_scheduler() -> None:
    """Before the first vCPU: the scheduler that the command line names, else the first that is built in."""
    if not scheduling.chosen:
        scheduling.scheduler = schedulers[0].get()
        scheduling.chosen = True


@options.entry(name="sched")
def choose_scheduler(name: str) -> bool:
    for entry in schedulers:
        if entry.name == name:
            scheduling.scheduler = entry.get()
            scheduling.chosen = True
            return True
    return False


# Who runs


def current() -> Vcpu:
    """The vCPU whose exit is being handled."""
    vcpu = Processor.this().current
    assert vcpu is not None, "no vCPU runs on this CPU"
    return vcpu


@raises
def add_vcpu(domain: Domain, id: u32, affinity: Bitmap[CPU_WORDS]) -> Vcpu:
    """The next vCPU of a domain that is being built, down. It may run on the CPUs of `affinity`, one of which runs
    vCPUs; on all when that is empty. ENOMEM, and what the extensions raise.
    """
    vcpu = create_vcpu(domain, id)
    if not affinity.is_empty():
        vcpu.hard_affinity.copy_from(affinity)
    vcpu.since = now()
    trace_vcpu(Event.SCHED_DOM_ADD, vcpu)
    scheduling.scheduler.insert_vcpu(vcpu)
    return vcpu


def remove_vcpu(vcpu: Vcpu) -> None:
    """The end of a vCPU that does not run, and that its domain's table names no more."""
    trace_vcpu(Event.SCHED_DOM_REM, vcpu)
    scheduling.scheduler.remove_vcpu(vcpu)
    destroy_vcpu(vcpu)


@raises
def vcpu_up(vcpu: Vcpu, entry: u64, argument: u64) -> None:
    """Switches a vCPU on: it begins at `entry` with `argument` in its first register. From any CPU. EBUSY: it is on,
    or not quite off yet.
    """
    with locked(vcpu) as held:
        if not vcpu.down or vcpu.running:
            raise Errno.EBUSY
        _begin(held, vcpu, entry, argument)
    _queue(vcpu)


@raises
def vcpu_up_once_off(vcpu: Vcpu, entry: u64, argument: u64) -> None:
    """As `vcpu_up`, but a vCPU that is not quite off yet is switched on as soon as it is off, unless it is switched off
    once more before. EBUSY: it is on, or will be.
    """
    with locked(vcpu) as held:
        if not vcpu.stays_down:
            raise Errno.EBUSY
        if vcpu.running:
            vcpu.begins = True
            vcpu.entry = entry
            vcpu.argument = argument
            return
        _begin(held, vcpu, entry, argument)
    _queue(vcpu)


def _begin(held: Held[Rank.SCHEDULER], vcpu: Vcpu, entry: u64, argument: u64) -> None:
    """Of one that is down, and in no CPU's registers. Behind it, `_queue`."""
    architecture.vcpus.start(vcpu, entry, argument)
    vcpu.down = False
    vcpu.begins = False
    vcpu.blocked = False
    vcpu.account(now())


def vcpu_down(vcpu: Vcpu) -> None:
    """Switches a vCPU off, from any CPU; when it is off, `is_off` says so."""
    with locked(vcpu) as held:
        vcpu.down = True
        vcpu.begins = False
        _stop(held, vcpu)


def is_off(vcpu: Vcpu) -> bool:
    with locked(vcpu):
        return vcpu.down and not vcpu.running


def all_down(domain: Domain) -> bool:
    """Whether every vCPU of it has been switched off. Of those that switch themselves off at once and then ask, one at
    least finds it so.
    """
    for vcpu in Vcpus.of(domain):
        with locked(vcpu):
            if not vcpu.stays_down:
                return False
    return True


def switch_off(vcpu: Vcpu) -> None:
    """As its guest asks. With the last one the domain powers off, as a kernel wants it that halts every CPU."""
    vcpu_down(vcpu)
    if all_down(vcpu.domain):
        shut_down(vcpu.domain, ShutdownReason.POWER_OFF)


def pause(vcpu: Vcpu) -> None:
    """It runs no further until `unpause` has been called as often. From any CPU; one that runs stops soon after."""
    with locked(vcpu) as held:
        vcpu.pauses += 1
        _stop(held, vcpu)


def unpause(vcpu: Vcpu) -> None:
    with locked(vcpu):
        assert vcpu.pauses != 0, "a vCPU is unpaused that is not paused"
        vcpu.pauses -= 1
        vcpu.account(now())
    _queue(vcpu)


def pause_domain(domain: Domain) -> None:
    with domain.lock:
        domain.pauses += 1
        for vcpu in Vcpus.of(domain):
            pause(vcpu)


def unpause_domain(domain: Domain) -> None:
    with domain.lock:
        assert domain.pauses != 0, "a domain is unpaused that is not paused"
        domain.pauses -= 1
        for vcpu in Vcpus.of(domain):
            unpause(vcpu)


def has_stopped(domain: Domain) -> bool:
    """Whether no CPU has anything of its vCPUs in its registers. It stays so while the domain is paused, or shut
    down.
    """
    for vcpu in Vcpus.of(domain):
        with locked(vcpu):
            if vcpu.running:
                return False
    return True


def block() -> None:
    """This CPU's vCPU waits for an interrupt, unless it has one already."""
    block_unless(never_ready)


def never_ready(vcpu: Vcpu) -> bool:
    return False


def block_unless(ready: Callable[[Vcpu], bool]) -> None:
    """As `block`, for what else may have come that the vCPU waits for: who makes it ready calls `wake` behind it."""
    vcpu = current()
    with locked(vcpu):
        vcpu.blocked = True
    if ready(vcpu) or architecture.vcpus.has_interrupt(vcpu):
        with locked(vcpu):
            vcpu.blocked = False
    else:
        trace_vcpu(Event.SCHED_BLOCK, vcpu)
        raise_softirq(Softirq.SCHEDULE)


def yield_() -> None:
    """This CPU's vCPU lets others go first."""
    vcpu = current()
    with locked(vcpu) as held:
        scheduling.scheduler.yield_(held, vcpu)
    trace_vcpu(Event.SCHED_YIELD, vcpu)
    raise_softirq(Softirq.SCHEDULE)


def wake(vcpu: Vcpu) -> None:
    """There is something new for the vCPU to see, such as an interrupt. One that is blocked goes on; one that runs on
    another CPU comes out of its guest and looks. From any CPU, also in a handler of interrupts.
    """
    with locked(vcpu):
        if not vcpu.blocked:
            if vcpu.running and vcpu.processor != cpu_id():
                send_ipi(vcpu.processor)
            return
        vcpu.blocked = False
        vcpu.account(now())
    trace_vcpu(Event.SCHED_WAKE, vcpu)
    _queue(vcpu)


def _stop(held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
    """Behind a change after which it may not be runnable any more."""
    trace_vcpu(Event.SCHED_SLEEP, vcpu)
    if vcpu.running:
        raise_on(vcpu.processor, Softirq.SCHEDULE)
    else:
        scheduling.scheduler.sleep(held, vcpu)
        vcpu.account(now())


def _queue(vcpu: Vcpu) -> None:
    """Sees to it that a vCPU which may have become runnable gets its turn. One that still runs, or is queued, has it
    already.
    """
    target = scheduling.scheduler.pick_cpu(vcpu)
    with locked(vcpu) as held:
        if not _is_idle(held, vcpu):
            return
        if vcpu.processor == target:
            scheduling.scheduler.wake(held, vcpu)
            return
        scheduling.scheduler.migrate(held, vcpu, target)
    with locked(vcpu) as held:
        if _is_idle(held, vcpu):
            scheduling.scheduler.wake(held, vcpu)


def _is_idle(held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> bool:
    """Runnable, but neither running nor queued."""
    return vcpu.runnable and not vcpu.running and not scheduling.scheduler.is_queued(held, vcpu)


# The switch


@handlers.entry(softirq=Softirq.SCHEDULE)
def schedule() -> None:
    """Chooses what this CPU runs, and switches to it."""
    processor = Processor.this()
    before = processor.current
    begun: Vcpu | None = None
    with processor.lock as held:
        at = now()
        decision = scheduling.scheduler.do_schedule(held, before, at)
        chosen = decision.vcpu
        if chosen is not before:
            trace_change(before, chosen)
            if before is not None:
                architecture.vcpus.save(before)
                before.running = False
                before.account(at)
                if before.begins:
                    _begin(held, before, before.entry, before.argument)
                    begun = before
            else:
                trace_runstate(IDLE_DOMAIN, cpu_id(), u32(u8(RunState.RUNNING)), u32(u8(RunState.RUNNABLE)))
            if chosen is not None:
                assert not chosen.running, "a vCPU runs on two CPUs"
                chosen.running = True
                chosen.account(at)
            else:
                trace_runstate(IDLE_DOMAIN, cpu_id(), u32(u8(RunState.RUNNABLE)), u32(u8(RunState.RUNNING)))
            processor.current = chosen
        processor.set_idle(chosen is None)
    if begun is not None:
        _queue(begun)
    if chosen is None:
        if scheduling.scheduler.balance():
            raise_softirq(Softirq.SCHEDULE)
        return
    if chosen is not before:
        architecture.vcpus.load(chosen)
    if decision.until != NEVER:
        processor.slice.set(decision.until)


class SliceEnd(TimerOwner):
    def expired(self, now: Ns) -> None:
        trace0(Event.SCHED_S_TIMER_FN)
        raise_softirq(Softirq.SCHEDULE)


slice_end: Final = SliceEnd()


# What is told of it


def trace_vcpu(event: Event, vcpu: Vcpu) -> None:
    trace2(event, u32(u16(vcpu.domain.id)), vcpu.id)


def trace_change(before: Vcpu | None, chosen: Vcpu | None) -> None:
    """None: the CPU's idle vCPU, in Xen's words."""
    cpu = cpu_id()
    trace_switch(
        IDLE_DOMAIN if before is None else u32(u16(before.domain.id)),
        cpu if before is None else before.id,
        IDLE_DOMAIN if chosen is None else u32(u16(chosen.domain.id)),
        cpu if chosen is None else chosen.id,
    )


# The way out


@unbounded("a CPU without work waits for work")
def leave() -> Vcpu:
    """The end of every exit: whatever else is to be done is done. Returns the vCPU to enter, whose state is in this
    CPU's registers.
    """
    vcpu = settle()
    while vcpu is None:
        wait()
        vcpu = settle()
    assert_none_held()
    return vcpu


@rarely
def wait() -> None:
    """What a CPU does that has no vCPU to run: some of its long work, or it sleeps."""
    if CONFIG_EXIT_STATS:
        end_run()
    if not do_step() and not softirqs_pending():
        trace_idle()
        wait_for_interrupt()
        trace_woken()
    if CONFIG_EXIT_STATS:
        begin_run(WAKE_UP)
    poll_interrupts()


def settle() -> Vcpu | None:
    """Does what can be done now. Returns the vCPU that is to run here; None: there is none for the moment."""
    if softirqs_pending():
        run_softirqs()
    return Processor.this().current


def idle() -> Never:
    """What a CPU does when it has been set up."""
    if not Processor.this().spared:
        start_processor()
    if CONFIG_EXIT_STATS:
        begin_run(WAKE_UP)
    vcpu = leave()
    architecture.vcpus.enter(vcpu)


def spare_processor() -> None:
    """This CPU is to be given no vCPUs. Before there are any, and before it is idle."""
    Processor.this().spared = True


def start_processor() -> None:
    """Lets this CPU be given vCPUs."""
    Processor.this().slice.init(slice_end)
    raise_softirq(Softirq.SCHEDULE)
