"""Structures of Xen's that x86 alone has, or that guests on x86 alone read (public/xen.h, vcpu.h, hvm/hvm_op.h)."""

from hv.lang import abi, array, i8, u8, u32, u64


@abi("xen/xen.h", "vcpu_time_info_t")
class TimeInfo:
    version: u32
    pad0: u32
    tsc_timestamp: u64
    system_time: u64
    tsc_to_system_mul: u32
    tsc_shift: i8
    flags: u8
    pad1: array[u8, 2]


@abi("xen/vcpu.h", "vcpu_register_time_memory_area_t")
class TimeAddress:
    addr: u64


@abi("xen/hvm/hvm_op.h", "xen_hvm_evtchn_upcall_vector_t")
class UpcallVector:
    vcpu: u32
    vector: u8
