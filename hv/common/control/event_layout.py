"""The structures of event_channel_op (public/event_channel.h)."""

from hv.common.comm.channel import Port
from hv.common.mm.types import DomId
from hv.lang import abi, array, embedded, u8, u32, u64, union


@abi("xen/event_channel.h", "evtchn_bind_interdomain_t")
class BindInterdomain:
    remote_dom: DomId
    remote_port: Port
    local_port: Port


@abi("xen/event_channel.h", "evtchn_bind_virq_t")
class BindVirq:
    virq: u32
    vcpu: u32
    port: Port


@abi("xen/event_channel.h", "evtchn_close_t")
class Close:
    port: Port


@abi("xen/event_channel.h", "evtchn_send_t")
class Send:
    port: Port


@embedded
class StatusInterdomain:
    dom: DomId
    port: Port


@union
@embedded
class StatusOf:
    interdomain: StatusInterdomain
    virq: u32
    pirq: u32
    unbound: DomId


@abi("xen/event_channel.h", "evtchn_status_t")
class Status:
    dom: DomId
    port: Port
    status: u32
    vcpu: u32
    u: StatusOf


@abi("xen/event_channel.h", "evtchn_alloc_unbound_t")
class AllocUnbound:
    dom: DomId
    remote_dom: DomId
    port: Port


@abi("xen/event_channel.h", "evtchn_bind_ipi_t")
class BindIpi:
    vcpu: u32
    port: Port


@abi("xen/event_channel.h", "evtchn_bind_vcpu_t")
class BindVcpu:
    port: Port
    vcpu: u32


@abi("xen/event_channel.h", "evtchn_unmask_t")
class Unmask:
    port: Port


@abi("xen/event_channel.h", "evtchn_reset_t")
class Reset:
    dom: DomId


@abi("xen/event_channel.h", "evtchn_init_control_t")
class InitControl:
    control_gfn: u64
    offset: u32
    vcpu: u32
    link_bits: u8
    _pad: array[u8, 7]


@abi("xen/event_channel.h", "evtchn_expand_array_t")
class ExpandArray:
    array_gfn: u64


@abi("xen/event_channel.h", "evtchn_set_priority_t")
class SetPriority:
    port: Port
    priority: u32
