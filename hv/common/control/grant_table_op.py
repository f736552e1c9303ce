"""What a guest asks about its grant table: grant_table_op (public/grant_table.h).

The operation, where the argument lies, and how many there are in a row: of those here one.
"""

from hv.common.comm.grant_table import MOST_FRAMES, GrantTable
from hv.common.control.domid import numbered
from hv.common.control.handle import read_request, write_long, write_request
from hv.common.control.hypercall import GRANT_TABLE_OP, Words, failed, plain
from hv.common.mm.types import DomId
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Adapted,
    Callable,
    Errno,
    Final,
    Long,
    TypeVar,
    abi,
    bounded,
    i16,
    i64,
    raises,
    truncate,
    u16,
    u32,
    u64,
    value,
)

A = TypeVar("A")

OKAY: Final[i16] = 0  # GNTST_*
GENERAL_ERROR: Final[i16] = -1
PERMISSION_DENIED: Final[i16] = -8
VERSION: Final[u32] = 1


@value
class GrantOperation:
    sub: u32
    perform: Callable[[Vcpu, u64], i64]


def perform(operation: Callable[[Vcpu, A], u64], caller: Vcpu, handle: u64) -> i64:
    request = A()
    try:
        read_request(caller, handle, request)
        answer = i64(operation(caller, request))
        write_request(caller, handle, request)
        return answer
    except Errno as e:
        return -i64(e.code)


grant_operation: Final = Adapted[GrantOperation](perform)


@plain(GRANT_TABLE_OP)
def grant_table_op(caller: Vcpu, words: Words) -> i64:
    """`first` is the operation, `second` where the argument lies, `third` how many there are. EINVAL: more than one.
    ENOSYS: there is no such operation.
    """
    for operation in grant_operation:
        if operation.sub == truncate(u32, words.first):
            if truncate(u32, words.third) != 1:
                return failed(Errno.EINVAL)
            return operation.perform(caller, words.second)
    return failed(Errno.ENOSYS)


@abi("xen/grant_table.h", "gnttab_setup_table_t")
class SetupTable:
    dom: DomId
    nr_frames: u32
    status: i16
    frame_list: Long[u64]


@grant_operation(sub=2)
@raises
def setup_table(caller: Vcpu, request: SetupTable) -> u64:
    """The table has so many frames at least, and the guest is told where it has mapped them. EFAULT."""
    table = GrantTable.of(caller.domain)
    if numbered(caller, request.dom) != caller.domain.id:
        request.status = PERMISSION_DENIED
        return 0
    try:
        table.grow(caller.domain, request.nr_frames)
    except Errno:
        request.status = GENERAL_ERROR
        return 0
    for i in bounded(request.nr_frames, MOST_FRAMES):
        write_long(caller, request.frame_list, u64(i), u64(table.places[i]))
    request.status = OKAY
    return 0


@abi("xen/grant_table.h", "gnttab_query_size_t")
class QuerySize:
    dom: DomId
    nr_frames: u32
    max_nr_frames: u32
    status: i16


@grant_operation(sub=6)
@raises
def query_size(caller: Vcpu, request: QuerySize) -> u64:
    """How many frames the table has, and may have."""
    if numbered(caller, request.dom) != caller.domain.id:
        request.status = PERMISSION_DENIED
        return 0
    request.nr_frames = GrantTable.of(caller.domain).count
    request.max_nr_frames = MOST_FRAMES
    request.status = OKAY
    return 0


@abi("xen/grant_table.h", "gnttab_set_version_t")
class SetVersion:
    version: u32


@grant_operation(sub=8)
@raises
def set_version(caller: Vcpu, request: SetVersion) -> u64:
    """Of the table's entries. EINVAL: there is no such version. ENOSYS: there is, but not here."""
    if request.version not in (1, 2):
        raise Errno.EINVAL
    if request.version != VERSION:
        raise Errno.ENOSYS
    return 0


@abi("xen/grant_table.h", "gnttab_get_version_t")
class GetVersion:
    dom: DomId
    pad: u16
    version: u32


@grant_operation(sub=10)
@raises
def get_version(caller: Vcpu, request: GetVersion) -> u64:
    """EPERM: of another domain's table."""
    if numbered(caller, request.dom) != caller.domain.id:
        raise Errno.EPERM
    request.version = VERSION
    return 0
