"""The device tree of a machine with all that makes devices hard to give to domains.

It has buses with ranges, clocks of a controller, an IOMMU, a GPIO controller that other devices refer to, two devices
in one page, two that share an interrupt, a PCI bus, a bus that passes nothing on, and the hypervisor's own console.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tools.partition.tree import Node, flat, strings

GIB = 1 << 30
GIC, CLOCK, CRG, SMMU, GPIO, OLD = range(1, 7)  # phandles
PHY = 9
SOC = 0xFF00_0000  # where the machine has the bus
INTERFACE = 0xF902_0000, 0x2_0000  # of a GICv2: where and how large


def cells(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def wide(*values: int) -> bytes:
    return struct.pack(f">{len(values)}Q", *values)


def device(at: int, compatible: str, *spis: int, size: int = 0x1000, **more: bytes) -> Node:
    """On the bus with one cell for addresses and sizes. In names of properties a "_" stands for "-"."""
    properties = {"compatible": strings(compatible), "reg": cells(at, size)}
    if spis:
        properties["interrupts"] = b"".join(cells(0, number, 4) for number in spis)
    properties |= {name.replace("_", "-"): value for name, value in more.items()}
    return Node(f"{compatible.split(',')[1]}@{at:x}", properties)


def on_soc(console: int) -> list[Node]:
    behind = {"iommus": cells(SMMU, 7)}
    one = {"#address-cells": cells(1), "#size-cells": cells(1)}
    clocks = {"clocks": cells(CRG, 3, CRG, 4), "clock-names": strings("a", "b")}
    mac = device(0x1_0000, "acme,mac", 63, 64, phy_handle=cells(PHY), **clocks, **behind)
    wrapper = device(0x8_0000, "acme,wrapper", ranges=b"", **one)
    gpio = {"gpio-controller": b"", "#gpio-cells": cells(2), "phandle": cells(GPIO)}
    crg = {"#clock-cells": cells(1), "#reset-cells": cells(1), "phandle": cells(CRG)}
    card = {"cd-gpios": cells(GPIO, 1, 0), "resets": cells(CRG, 1), "reset-names": strings("r")}
    return [
        device(console, "acme,uart", 40, clocks=cells(CLOCK)),
        Node(mac.name, mac.properties, [Node("phy@c", {"reg": cells(12), "phandle": cells(PHY)})]),
        device(0x3_0000, "acme,small", 20, size=0x200),
        device(0x3_0200, "acme,small", 21, size=0x200),
        device(0x4_0000, "acme,gpio", 50, **gpio),
        device(0x5_0000, "acme,card", 51, **card),
        device(0x6_0000, "acme,odd", 0, vdd_supply=cells(77)),
        device(0x7_0000, "acme,crg", **crg),
        Node(wrapper.name, wrapper.properties, [device(0x9_0000, "acme,core", 80)]),
        device(0xA_0000, "acme,twin", 63),
        device(0xB_0000, "acme,nested", interrupt_parent=cells(GPIO), interrupts=cells(1, 2)),
        device(0xC_0000, "acme,private", interrupts=cells(1, 7, 4)),
        device(0xD_0000, "arm,smmu-v3", phandle=cells(SMMU), **{"#iommu-cells": cells(1)}),
        device(0xE_0000, "acme,off", 52, status=strings("disabled"), iommus=cells(SMMU, 6)),
        device(0xF_0000, "acme,ticker", 53, clocks=cells(CLOCK), **behind),
        device(0xD_1000, "arm,mmu-500", phandle=cells(OLD), **{"#iommu-cells": cells(2)}),
        device(0xF_1000, "acme,old", iommus=cells(OLD, 1, 2)),
        device(0xF_2000, "acme,mixed", iommus=cells(OLD, 1, 2, SMMU, 8)),
        device(0xF_3000, "acme,lost", iommus=cells(SMMU, 9, 99, 1)),
        device(0xF_4000, "acme,short", iommus=cells(SMMU)),
        device(0xF_5000, "acme,row", iommu_map=cells(0, SMMU, 0)),
        device(0xF_6000, "acme,gap", iommu_map=cells(0, SMMU, 16, 0x100, 0x101, SMMU, 0x1000, 0x1000)),
        device(0xF_7000, "acme,masked", iommu_map=cells(0, SMMU, 16, 0x100), iommu_map_mask=cells(0xFF)),
    ]


def pci() -> Node:
    windows = [
        (cells(0x0100_0000, 0, 0), 0x3EFF_0000, 0x1_0000),
        (cells(0x0200_0000, 0, 0x1000_0000), 0x1000_0000, 0x2EFF_0000),
    ]
    pins = [(0, 0, 0, 1, GIC, 0, 70, 4), (0, 0, 0, 2, GIC, 0, 71, 4)]
    properties = {
        "compatible": strings("pci-host-ecam-generic"),
        "device_type": strings("pci"),
        "#address-cells": cells(3),
        "#size-cells": cells(2),
        "#interrupt-cells": cells(1),
        "reg": wide(0x40_1000_0000, 0x1000_0000),
        "ranges": b"".join(child + wide(start, size) for child, start, size in windows),
        "interrupt-map": b"".join(cells(*pin) for pin in pins),
        "interrupt-map-mask": cells(0, 0, 0, 7),
        "iommu-map": cells(0, SMMU, 0x1_0000, 0x1_0000),
    }
    return Node("pcie@4010000000", properties)


def board(
    memory: Sequence[tuple[int, int]] = ((0, 2 * GIB),), cpus: int = 4, gicv3: bool = False, console: int = 0
) -> bytes:
    """`console`: where on its bus the UART is."""
    one = {"#address-cells": cells(1), "#size-cells": cells(1)}
    cores = [Node(f"cpu@{n}", {"device_type": strings("cpu"), "reg": cells(n)}) for n in range(cpus)]
    cache = {"compatible": strings("cache"), "cache-level": cells(2)}
    cache |= {"cache-sets": cells(1024), "cache-line-size": cells(64)}  # 16 colours
    gic = {"compatible": strings("arm,gic-v3" if gicv3 else "arm,gic-400"), "#interrupt-cells": cells(3)}
    places = wide(0xF901_0000, 0x1_0000, 0xF906_0000, 0x8_0000) if gicv3 else wide(0xF901_0000, 0x1000, *INTERFACE)
    gic |= {"interrupt-controller": b"", "reg": places, "phandle": cells(GIC), "#address-cells": cells(0)}
    clock = {"compatible": strings("fixed-clock"), "#clock-cells": cells(0)}
    clock |= {"clock-frequency": cells(24_000_000), "phandle": cells(CLOCK)}
    ram = b"".join(wide(start, size) for start, size in memory)
    soc = {"compatible": strings("simple-bus"), **one, "ranges": cells(0) + wide(SOC) + cells(0x10_0000)}
    children = [
        Node(f"memory@{memory[0][0]:x}", {"device_type": strings("memory"), "reg": ram}),
        Node("cpus", {"#address-cells": cells(1), "#size-cells": cells(0)}, [*cores, Node("l2", cache)]),
        Node("gic@f9010000", gic),
        Node("clock", clock),
        Node("soc", soc, on_soc(console)),
        Node("closed", {"compatible": strings("acme,bus"), **one}, [device(0, "acme,far")]),
        pci(),
        Node("aliases", {"ethernet0": strings("/soc/mac@10000")}),
        Node("chosen", {"stdout-path": strings(f"/soc/uart@{console:x}:115200n8")}),
    ]
    root = {"#address-cells": cells(2), "#size-cells": cells(2), "interrupt-parent": cells(GIC)}
    return flat(Node("", root, children))
