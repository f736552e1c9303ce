"""The properties of a partial device tree that speak to the hypervisor (Xen, docs/misc/arm/passthrough-noiommu.txt)."""

from hv.lang import Final

PATH: Final = "xen,path"
REG: Final = "xen,reg"
FORCED: Final = "xen,force-assign-without-iommu"
