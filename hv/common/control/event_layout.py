"""The structures of event_channel_op (public/event_channel.h)."""

from hv.common.comm.channel import Port
from hv.common.mm.types import DomId
from hv.lang import abi, embedded, u32, union


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
