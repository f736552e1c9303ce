"""What the tests of SVM look at: a control block, numbers of address spaces, a policy; and walks of a guest's tables
over the tests' physical map.
"""

from hv.lang import Embedded, Final, raises, u8, u64
from hv.sim.fixtures import p2m
from hv.x86.cpuid import Leaf
from hv.x86.hvm.cpuid_policy import CpuidPolicy
from hv.x86.hvm.decode import Code, Decoded, Decoder, Mode
from hv.x86.hvm.event import Event, EventKind, Together, comes_again, together
from hv.x86.hvm.guest_walk import Access, Control0, Control4, Extended, Paging, Walk, walk
from hv.x86.svm.asid import Asid, AsidPool
from hv.x86.svm.nmi import NmiGate
from hv.x86.svm.vmcb import Vmcb


class Sample:
    pool: Embedded[AsidPool]
    asid: Embedded[Asid]
    leaf: Embedded[Leaf]
    policy: Embedded[CpuidPolicy]


vmcb: Final = Vmcb()
sample: Final = Sample()
nmi_gate: Final = NmiGate()


def two_events(first_kind: EventKind, first: u8, second: u8) -> Together:
    return together(Event(first_kind, first, False, 0), Event(EventKind.EXCEPTION, second, False, 0))


def is_injected_again(kind: EventKind, vector: u8) -> bool:
    return comes_again(Event(kind, vector, False, 0))


def walk_guest(cr0: u64, cr3: u64, cr4: u64, efer: u64, users: bool, linear: u64, rights: u64) -> Walk:
    """`rights`: bit 0 a write, bit 1 a fetch, bit 2 a user's."""
    paging = Paging(Control0(cr0), cr3, Control4(cr4), Extended(efer), users)
    return walk(p2m, paging, linear, Access(rights & 1 != 0, rights & 2 != 0, rights & 4 != 0))


class Decoding:
    code: Embedded[Code]
    decoder: Embedded[Decoder]


decoding: Final = Decoding()


@raises
def decode(mode: Mode) -> Decoded:
    """The bytes in `decoding.code`."""
    return decoding.decoder.decode(decoding.code, mode)
