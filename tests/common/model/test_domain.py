"""Domains: the table, their way through life, references, and what is undone when one cannot be made."""

import pytest

from compiler.hostbuild import Raised
from tests.common.guests import BUILDING, DEAD, DYING, POWER_OFF, REBOOT, SHUT_DOWN, UP, VCPUS, Machine
from tests.common.host import ending

EEXIST, ENOSPC, ENOMEM = 17, 28, 12
MODEL = "hv.common.model."
DOMAIN = f"{MODEL}domain.Domain."
MAX_DOMAINS = 16


@pytest.fixture
def machine():
    made = Machine(2).with_heap().start_scheduling()
    made.table = made.host.variable(f"{MODEL}domain.domains")
    made.pool = made.host.variable(f"{MODEL}domain.pool")
    made.vcpu_pool = made.host.variable(f"{MODEL}vcpu.pool")
    return made


def make(machine, id, vcpus=1):
    return machine.call(f"{VCPUS}make_domain", id, vcpus)


def find(machine, id):
    found = machine.call(f"{MODEL}domain.DomainTable.get", machine.table, id)
    return found if found else None


def go(machine, domain, *states):
    for state in states:
        machine.call(f"{DOMAIN}advance", domain, state)


def remove(machine, domain):
    machine.call(f"{MODEL}domain.DomainTable.remove", machine.table, domain)


def test_life(machine):
    free = machine.heap.free_frames
    domain = make(machine, 5)
    assert (domain.state, domain.references, domain.id) == (BUILDING, 1, 5)
    assert machine.heap.free_frames < free
    go(machine, domain, UP)
    assert machine.call(f"{DOMAIN}shut_down", domain, REBOOT)
    assert (domain.state, domain.reason) == (SHUT_DOWN, REBOOT)
    assert not machine.call(f"{DOMAIN}shut_down", domain, POWER_OFF), "only the first reason counts"
    assert domain.reason == REBOOT
    go(machine, domain, DYING)
    remove(machine, domain)
    machine.reclaim()
    assert find(machine, 5) is None
    assert machine.pool.used == 0 and machine.heap.free_frames == free


def test_a_domain_that_is_being_built_is_not_shut_down(machine):
    domain = make(machine, 1)
    assert not machine.call(f"{DOMAIN}shut_down", domain, POWER_OFF)
    assert domain.state == BUILDING


def test_a_reference_keeps_the_object(machine):
    domain = make(machine, 1)
    again = find(machine, 1)
    assert again == domain and domain.references == 2
    go(machine, domain, DYING)
    remove(machine, domain)
    machine.reclaim()
    assert find(machine, 1) is None and domain.state == DEAD and machine.pool.used == 1
    machine.call(f"{DOMAIN}put", domain)
    assert machine.pool.used == 0


def test_nobody_goes_back(machine):
    domain = make(machine, 1)
    go(machine, domain, UP, SHUT_DOWN)
    for state in (BUILDING, UP, SHUT_DOWN):
        status, said = ending(lambda state=state: go(machine, domain, state))
        assert status in (65, 66) and "a domain goes back in its life" in said


def test_the_last_reference_of_one_that_lives_is_not_dropped(machine):
    domain = make(machine, 1)
    status, said = ending(lambda: machine.call(f"{DOMAIN}put", domain))
    assert status in (65, 66) and "the last reference to a domain that lives is dropped" in said


def test_ids_and_slots(machine):
    made = {id: make(machine, id) for id in range(10, 10 + MAX_DOMAINS)}
    vmids = {machine.call(f"{DOMAIN}vmid", domain) for domain in made.values()}
    assert len(vmids) == MAX_DOMAINS and 0 not in vmids
    with pytest.raises(Raised) as full:
        make(machine, 99)
    assert full.value.code == ENOSPC
    go(machine, made[13], DYING)
    remove(machine, made[13])
    machine.reclaim()
    with pytest.raises(Raised) as taken:
        make(machine, 14)
    assert taken.value.code == EEXIST
    assert make(machine, 99).slot == 3
    machine.reclaim()
    assert machine.pool.used == MAX_DOMAINS


def test_without_memory_nothing_is_left(machine):
    """Whenever the memory runs out, what was made before is undone."""
    frames = machine.heap.free_frames
    held = []
    while machine.heap.free_frames:
        held.append(machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 0))
    for given in range(1, 40):
        free = machine.heap.free_frames
        try:
            domain = make(machine, 1)
        except Raised as raised:
            assert raised.code == ENOMEM
            machine.reclaim()
            assert machine.pool.used == 0 and machine.heap.free_frames == free and find(machine, 1) is None
            machine.call("hv.common.mm.heap.Heap.free", machine.heap, held.pop(), 0)
            continue
        assert given > 3, "a domain takes memory"
        go(machine, domain, DYING)
        remove(machine, domain)
        machine.reclaim()
        assert machine.heap.free_frames == free
        return
    pytest.fail(f"{frames} frames, and no domain")


def test_vcpus_come_and_go_in_order(machine):
    domain = make(machine, 1, 3)
    for expected in range(3):
        assert machine.call(f"{VCPUS}make_vcpu", domain, 0).id == expected
    vcpus = machine.vcpus(domain)
    assert all(v.domain == domain and v.down for v in vcpus)
    assert machine.call(f"{VCPUS}vcpu_of", domain, 2) == vcpus[2]
    for nobody in (3, 127, 128, 0xFFFF_FFFF):
        assert not machine.call(f"{VCPUS}vcpu_of", domain, nobody)
    table = machine.ffi.addressof(domain, "common_model_vcpu_Vcpus")
    for expected in (2, 1, 0):
        vcpu = machine.call(f"{MODEL}vcpu.Vcpus.take_last", table)
        assert vcpu == vcpus[expected]
        machine.core("remove_vcpu", vcpu)
    assert not machine.call(f"{MODEL}vcpu.Vcpus.take_last", table)
    machine.reclaim()
    assert machine.vcpu_pool.used == 0


def test_pausing_a_domain_stops_all_of_it(machine):
    domain = make(machine, 1, 2)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, 0) for _ in range(2)]
    for vcpu in vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    assert all(v.running for v in vcpus) and not machine.core("has_stopped", domain)
    machine.core("pause_domain", domain)
    machine.core("pause_domain", domain)
    machine.settle_all()
    assert machine.core("has_stopped", domain)
    machine.core("unpause_domain", domain)
    machine.settle_all()
    assert machine.core("has_stopped", domain)
    machine.core("unpause_domain", domain)
    machine.settle_all()
    assert all(v.running for v in vcpus)
