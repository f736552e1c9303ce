"""CPUID of guests: whatever a CPU says, guests are told only of what they may have."""

from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

POLICY = "hv.x86.hvm.cpuid_policy.CpuidPolicy."
WORD = st.integers(0, 0xFFFF_FFFF)
LEAF = st.tuples(WORD, WORD, WORD, WORD)
OFFERED = 0x2E7  # x87, SSE, AVX, AVX-512, PKRU


def made(answers, offered=OFFERED):
    """A policy from what a CPU answers: {(leaf, subleaf): words}."""
    policy = host().cleared("hv.sim.svm.sample").policy
    policy = host().ffi.addressof(policy)
    for (number, subleaf), words in answers.items():
        leaf = host().ffi.new("x86_cpuid_Leaf *", words)
        host().call(f"{POLICY}take", policy, number, subleaf, leaf, offered)
    return policy


def find(policy, number, subleaf=0):
    leaf = host().ffi.new("x86_cpuid_Leaf *")
    host().call(f"{POLICY}find", policy, number, subleaf, leaf)
    return leaf.eax, leaf.ebx, leaf.ecx, leaf.edx


def bits(*numbers):
    return sum(1 << n for n in numbers)


HIDDEN_1C = bits(2, 3, 5, 6, 7, 8, 10, 11, 14, 15, 17, 18, 27)
"""DTES64, MONITOR, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM, PCID, DCA, OSXSAVE."""
HIDDEN_1D = bits(10, 12, 18, 20, 21, 22, 27, 28, 29, 30, 31)
"""MTRR, PSN, DS, ACPI, SS, HTT, TM, PBE and what is reserved."""
HIDDEN_E1C = bits(1, 2, 3, 9, 10, 12, 13, 15, 19, 22, 23, 24, 29)
"""CmpLegacy, SVM, ExtApic, OSVW, IBS, SKINIT, WDT, LWP, NodeId, topology, counters, MONITORX."""


@given(LEAF, LEAF, LEAF)
def test_what_guests_cannot_have_is_hidden(one, seven, extended):
    policy = made(
        {(0, 0): (0xFFFF, 1, 2, 3), (1, 0): one, (7, 0): seven, (0x8000_0000, 0): (0x8000_FFFF, 1, 2, 3),
         (0x8000_0001, 0): extended}
    )  # fmt: skip
    _, ebx, ecx, edx = find(policy, 1)
    assert not ecx & HIDDEN_1C and not edx & HIDDEN_1D and ecx >> 31 == 1 and ebx < 0x1_0000
    played = bits(21, 24, 31)  # x2APIC and TSC deadline, which the hypervisor plays, and that it is there
    assert ecx & played == played and ecx & ~played == one[2] & ecx & ~played and edx == one[3] & edx
    eax, ebx, ecx, edx = find(policy, 7)
    assert (eax, edx) == (0, 0) and ebx == seven[1] & ebx and ecx == seven[2] & ecx
    _, _, ecx, edx = find(policy, 0x8000_0001)
    assert not ecx & HIDDEN_E1C and ecx == extended[2] & ecx and edx == extended[3] & edx


@given(LEAF, st.integers(0, 0x20), st.integers(0, 0x20))
def test_leaves_beyond_the_highest_are_zero(words, beyond, subleaf):
    policy = made({(0, 0): (0xFFFF, 0, 0, 0), (0x8000_0000, 0): (0x8000_FFFF, 0, 0, 0)})
    assert find(policy, 0)[0] == 13 and find(policy, 0x8000_0000)[0] == 0x8000_0008
    assert find(policy, 14 + beyond, subleaf) == (0, 0, 0, 0)
    assert find(policy, 0x8000_0009 + beyond, subleaf) == (0, 0, 0, 0)
    assert find(policy, 0x4000_0000 + beyond, subleaf) == (0, 0, 0, 0)
    assert find(policy, 7, 2 + subleaf) == find(policy, 0xD, 10 + subleaf) == (0, 0, 0, 0)


def test_the_highest_leaf_is_no_higher_than_the_cpus():
    policy = made({(0, 0): (6, 0, 0, 0), (7, 0): (1, 0xFFFF_FFFF, 0, 0)})
    assert find(policy, 0)[0] == 6 and find(policy, 7) == (0, 0, 0, 0)


@given(st.integers(0, 0x3FF))
def test_only_components_that_are_switched_are_offered(offered):
    answers = {(0, 0): (0xD, 0, 0, 0), (0xD, 0): (0xFFFF_FFFF, 9, 9, 9)}
    answers |= {(0xD, i): (64, 576 + 64 * i, 0, 0) for i in range(2, 10)}
    policy = made(answers, offered)
    assert find(policy, 0xD)[0] == offered
    for i in range(2, 10):
        assert find(policy, 0xD, i)[:2] == ((64, 576 + 64 * i) if offered >> i & 1 else (0, 0))
    highest = max((i for i in range(2, 10) if offered >> i & 1), default=None)
    wanted = 576 if highest is None else 576 + 64 * highest + 64
    assert host().call(f"{POLICY}size_of", policy, offered) == wanted


@given(st.integers(1, 128), LEAF, LEAF)
def test_all_vcpus_are_cores_of_one_package(vcpus, one, sizes):
    """As Linux reads it on AMD (APM 3, E.4.7 and CPUID 1): whatever the CPU says of its own threads and cores."""
    policy = made({(0, 0): (0xFFFF, 0, 0, 0), (1, 0): one, (0x8000_0000, 0): (0x8000_FFFF, 0, 0, 0),
                   (0x8000_0008, 0): sizes})  # fmt: skip
    before = find(policy, 1), find(policy, 0x8000_0008)
    host().call(f"{POLICY}arrange", policy, vcpus)
    (eax, ebx, ecx, edx), extended = find(policy, 1), find(policy, 0x8000_0008)
    assert (eax, ebx & 0xFFFF, ecx, edx & ~(1 << 28)) == before[0] and extended[:2] == before[1][:2]
    assert edx >> 28 & 1 == 1 and ebx >> 16 == min(2 * vcpus, 255)
    cores, bits = (extended[2] & 0xFF) + 1, extended[2] >> 12 & 0xF
    assert extended[2] == bits << 12 | cores - 1 and extended[3] == 0
    numbers = [2 * vcpu for vcpu in range(vcpus)]
    assert {number >> bits for number in numbers} == {0} and max(numbers) < cores
    assert bits == 1 or max(numbers) + 1 > 1 << bits - 1, "no more bits than it takes"
    assert host().call("hv.x86.hvm.cpuid_policy.package_bits", vcpus) == bits
