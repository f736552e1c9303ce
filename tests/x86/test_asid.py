"""Numbers of address spaces against a model of TLBs: no vCPU runs on a translation that is not its own, or is of an
older map of its guest, or of before it told another CPU about a change."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.host import host

NOTHING, ALL, THIS = 0, 1, 3
CPUS, VCPUS = 3, 6


class Machine:
    """Each CPU's TLB: by number, what the translations under it are good for."""

    def __init__(self, limit, can_flush_one):
        ffi = host().ffi
        self.can_flush_one = can_flush_one
        self.limit = limit
        self.pools = [ffi.new("x86_svm_asid_AsidPool *") for _ in range(CPUS)]
        self.asids = [ffi.new("x86_svm_asid_Asid *") for _ in range(VCPUS)]
        for pool in self.pools:
            host().call("hv.x86.svm.asid.AsidPool.init", pool, limit)
        self.tlbs = [{} for _ in range(CPUS)]
        self.visits = [0] * VCPUS  # to another CPU than before
        self.last = [None] * VCPUS
        self.epoch = 0
        self.flushes = 0

    def enter(self, cpu, vcpu):
        if self.last[vcpu] != cpu:
            self.visits[vcpu] += 1
            self.last[vcpu] = cpu
        control = host().call(
            "hv.x86.svm.asid.Asid.renew", self.asids[vcpu], self.pools[cpu], cpu, self.epoch, self.can_flush_one
        )
        number = self.asids[vcpu].number
        assert 0 < number < self.limit
        tlb = self.tlbs[cpu]
        if control == ALL:
            tlb.clear()
            self.flushes += 1
        elif control == THIS:
            assert self.can_flush_one
            tlb.pop(number, None)
        own = (vcpu, self.visits[vcpu], self.epoch)
        assert tlb.get(number, own) == own, "a stale translation, or another vCPU's"
        tlb[number] = own


STEPS = st.one_of(
    st.tuples(st.integers(0, CPUS - 1), st.integers(0, VCPUS - 1)),
    st.just("change"),
)


@given(st.integers(2, 20), st.booleans(), st.lists(STEPS, max_size=120))
@settings(deadline=None)
def test_no_stale_translation_is_used(limit, can_flush_one, steps):
    machine = Machine(limit, can_flush_one)
    for step in steps:
        if step == "change":
            machine.epoch += 1
        else:
            machine.enter(*step)


def test_a_vcpu_that_stays_keeps_its_number_and_its_translations():
    machine = Machine(16, False)
    machine.enter(0, 0)
    number = machine.asids[0].number
    for _ in range(100):
        machine.enter(0, 0)
    assert machine.asids[0].number == number and machine.flushes == 0


def test_all_is_forgotten_only_when_the_numbers_have_run_out():
    machine = Machine(16, False)
    for _ in range(30):
        machine.epoch += 1
        machine.enter(0, 0)
    assert machine.flushes == 1
    machine = Machine(16, True)
    for _ in range(100):
        machine.epoch += 1
        machine.enter(0, 0)
    assert machine.flushes == 0
