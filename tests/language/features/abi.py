"""Classes with the layout of Xen's public headers; tests/language/test_abi.py compares them with the headers."""

from hv.lang import Aligned, Compat, Long, NewType, abi, array, embedded, i32, narrow, u8, u16, u32, u64, union, widen

DomId = NewType("DomId", u16)
Gfn = NewType("Gfn", u64)
Port = NewType("Port", u32)


@abi("xen/event_channel.h", "evtchn_send_t")
class EvtchnSend:
    port: Port


@abi("xen/event_channel.h", "evtchn_bind_interdomain_t")
class EvtchnBindInterdomain:
    remote_dom: DomId
    remote_port: Port
    local_port: Port


@abi("xen/argo.h", "xen_argo_addr_t")
@embedded
class ArgoAddress:
    aport: u32
    domain_id: DomId
    pad: u16


@abi("xen/argo.h", "xen_argo_send_addr_t")
class ArgoSendAddress:
    src: ArgoAddress
    dst: ArgoAddress


@abi("xen/argo.h", "xen_argo_ring_t")
class ArgoRing:
    rx_ptr: u32
    tx_ptr: u32
    reserved: array[u8, 56]


@abi("xen/memory.h", "xen_memory_reservation_t")
class MemoryReservation:
    extent_start: Long[u64]
    nr_extents: Long[u64]
    extent_order: u32
    mem_flags: u32
    domid: DomId


@abi("xen/memory.h", "xen_add_to_physmap_t")
class AddToPhysmap:
    domid: DomId
    size: u16
    space: u32
    idx: Long[u64]
    gpfn: Long[Gfn]


@abi("xen/grant_table.h", "gnttab_map_grant_ref_t")
class MapGrantRef:
    host_addr: u64
    flags: u32
    ref: u32
    dom: DomId
    status: u16
    handle: u32
    dev_bus_addr: u64


@union
@embedded
class CopyTarget:
    ref: u32
    gmfn: Long[Gfn]


@embedded
class CopyEnd:
    u: CopyTarget
    domid: DomId
    offset: u16


@abi("xen/grant_table.h", "gnttab_copy_t")
class GrantCopy:
    source: CopyEnd
    dest: CopyEnd
    len_: u16
    flags: u16
    status: u16


@abi("xen/vcpu.h", "vcpu_runstate_info_t")
class RunstateInfo:
    state: i32
    state_entry_time: u64
    time: array[u64, 4]


@abi("xen/domctl.h", "struct xen_domctl_getvcpuinfo")
class VcpuInfo:
    vcpu: u32
    online: u8
    blocked: u8
    running: u8
    cpu_time: Aligned[u64]
    cpu: u32


def calc_reservation_of_a_32_bit_caller(start: u32, count: u32, domid: u16) -> u64:
    small = Compat[MemoryReservation]()
    small.extent_start = start
    small.nr_extents = count
    small.domid = DomId(domid)
    request = MemoryReservation()
    widen(small, request)
    request.nr_extents += request.extent_start
    if not narrow(request, small):
        return 7
    return u64(small.nr_extents) * 65536 + u64(small.domid)


def calc_union_of_a_32_bit_caller(ref: u32) -> u64:
    small = Compat[GrantCopy]()
    small.source.u.ref = ref
    small.dest.offset = 5
    request = GrantCopy()
    widen(small, request)
    return u64(request.source.u.ref) + u64(request.dest.offset)
