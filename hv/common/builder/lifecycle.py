"""The life of a described domain from outside: built, shut down, taken apart, built again.

A domain that powers itself off, or crashes, stops alone, and its memory goes back to the heap. One that resets, or
whose watchdog runs out, is taken apart, too, and built anew from its description and modules, unless the description
wants it otherwise, which may want the same of one that crashes. That is long work of the CPU on which it was asked for.
"""

from hv.arch import now, poll_interrupts
from hv.common.builder.construct import Construction
from hv.common.builder.description import Description, descriptions
from hv.common.kernel.log import error, info
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.work import Progress, Task, Work
from hv.common.model.domain import MAX_DOMAINS, Domain, DomainState, ShutdownReason, domains
from hv.common.model.ending import endings
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpus
from hv.common.sched.core import has_stopped, pause, remove_vcpu
from hv.config import CONFIG_DOMAIN_WATCHDOG
from hv.lang import Embedded, Errno, Final, Message, U8Enum, array, bounded, step_extensions, unbounded

VCPUS_PER_STEP: Final = 4
LEAST_RUN: Final = SECOND  # before a crash, or a watchdog's end, after which a domain is built anew


class Stage(U8Enum):
    GONE = 0  # there is no domain
    BUILDING = 1
    RUNNING = 2
    STOPPING = 3  # its vCPUs are on their way out of the CPUs
    EMPTYING = 4  # what it shares with others ends, and its memory goes
    LEAVING = 5  # its vCPUs and the rest go


class Life(Task):
    """One description's domain."""

    stage: Stage
    description: Description
    construction: Embedded[Construction]
    domain: Domain
    work: Embedded[Work]
    again: bool  # whether the domain is built anew when it is gone
    started: Ns  # when it began to run

    def begin(self) -> bool:
        """The domain is to be built in steps. False: there is none, and a line has said why."""
        self.again = False
        try:
            self.construction.begin(self.description)
        except Errno:
            self._tell()
            self.stage = Stage.GONE
            return False
        self.domain = self.construction.domain
        self.stage = Stage.BUILDING
        return True

    def step(self) -> Progress:
        match self.stage:
            case Stage.BUILDING:
                return self._build()
            case Stage.STOPPING:
                if not has_stopped(self.domain):
                    return Progress.WAITING
                self.domain.advance(DomainState.DYING)
                self.stage = Stage.EMPTYING
            case Stage.EMPTYING:
                if step_extensions(self.domain) and DomainMemory.of(self.domain).empty_step():
                    self.stage = Stage.LEAVING
            case Stage.LEAVING:
                return self._leave()
            case _:
                return Progress.DONE
        return Progress.MORE

    def shut_down(self) -> None:
        """Takes the domain apart, which has been shut down and whose vCPUs have been stopped."""
        self.again = self._restarts()
        self.stage = Stage.STOPPING
        self.work.init(self)
        self.work.start()

    def _restarts(self) -> bool:
        """As its description has it. One that crashes as soon as it runs would do so for ever."""
        if self.domain.reason == ShutdownReason.REBOOT:
            return self.description.restarts_on_reboot
        if CONFIG_DOMAIN_WATCHDOG and self.domain.reason == ShutdownReason.WATCHDOG:
            return self.description.restarts_on_watchdog and self._has_run("its watchdog ran out")
        if self.domain.reason != ShutdownReason.CRASH:
            return False
        return self.description.restarts_on_crash and self._has_run("it crashed")

    def _has_run(self, end: str) -> bool:
        """For a while, before this."""
        if now() - self.started >= LEAST_RUN:
            return True
        error(f"{self.description.name}: {end} within a second: the domain is not built again")
        return False

    def _build(self) -> Progress:
        try:
            if self.construction.step():
                self.stage = Stage.RUNNING
                self.started = now()
                self.construction.start()  # from here on it belongs to whoever shuts it down
                return Progress.DONE
            if self.construction.waits:
                return Progress.WAITING
        except Errno:
            self._tell()
            self.domain.advance(DomainState.DYING)
            self.stage = Stage.EMPTYING
        return Progress.MORE

    def _leave(self) -> Progress:
        for _ in range(VCPUS_PER_STEP):
            vcpu = Vcpus.of(self.domain).take_last()
            if vcpu is None:
                domains.remove(self.domain)
                self.stage = Stage.GONE
                return Progress.MORE if self.again and self.begin() else Progress.DONE
            remove_vcpu(vcpu)
        return Progress.MORE

    def _tell(self) -> None:
        error(f"{self.description.name}: {self.construction.mistake.text}: the domain is not built")


class Lives:
    """The one at index i is of the i-th description."""

    table: array[Life, MAX_DOMAINS]

    def find(self, domain: Domain) -> Life | None:
        for life in self.table:
            if life.stage != Stage.GONE and life.domain is domain:
                return life
        return None


lives: Final = Lives()


def description_of(domain: Domain) -> Description | None:
    life = lives.find(domain)
    return None if life is None else life.description


@unbounded("each domain's steps come to an end")
def build_domains() -> None:
    """Builds all domains that the tree describes, and starts them. When the scheduler has been started, and all CPUs
    run.
    """
    for i in bounded(descriptions.count, MAX_DOMAINS):
        life = lives.table[i]
        life.description = descriptions.table[i]
        if life.begin():
            while life.step() != Progress.DONE:
                poll_interrupts()


@endings.entry()
def shutdown_domain(domain: Domain, reason: ShutdownReason) -> None:
    """A guest has turned itself off, or reset itself, or has not patted its watchdog. It concerns that guest alone; who
    calls on its behalf goes on to `leave`.
    """
    if not domain.shut_down(reason):
        return
    if reason == ShutdownReason.POWER_OFF:
        info(f"d{domain.id} {domain.name}: powered off")
    elif reason == ShutdownReason.REBOOT:
        info(f"d{domain.id} {domain.name}: reset")
    elif reason == ShutdownReason.CRASH:
        error(f"d{domain.id} {domain.name}: crashed, as it says itself")
    elif CONFIG_DOMAIN_WATCHDOG and reason == ShutdownReason.WATCHDOG:
        error(f"d{domain.id} {domain.name}: its watchdog ran out")
    _end(domain)


def domain_crash(domain: Domain, message: Message) -> None:
    """The end of a guest that did what it may not, with one line that says what."""
    if domain.shut_down(ShutdownReason.CRASH):
        error(message)
        _end(domain)


def _end(domain: Domain) -> None:
    for vcpu in Vcpus.of(domain):
        pause(vcpu)
    life = lives.find(domain)
    if life is not None:
        life.shut_down()
