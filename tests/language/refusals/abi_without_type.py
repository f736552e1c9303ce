# refuse: 5: write @abi("xen/argo.h", "xen_argo_ring_t")
from hv.lang import abi, u32


@abi("xen/x.h")
class Request:
    state: u32
