"""What is told of NUMA nodes: each with its memory and its CPUs."""

from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.lib.text import TextBuffer
from hv.common.mm.frames import frames
from hv.common.mm.nodes import MAX_NODES, CpuNode, nodes
from hv.common.mm.types import PAGE_SHIFT
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, bounded, u32, u64

TEXT: Final = 512


def report_nodes() -> None:
    """When the CPUs run. Of a machine with one node nothing is said."""
    if nodes.count > 1:
        for node in bounded(nodes.count, MAX_NODES):
            show_node(node)


def show_node(node: u32) -> None:
    text = TextBuffer[TEXT]()
    text.write(f"node {node}")
    if node < nodes.named:
        text.write(f" (proximity domain {nodes.names[node]})")
    text.write(f": {frames_of(node) >> 8} MiB,")
    write_cpus(text, node)
    console.print(f"{text.text}")
    for bank in frames:
        if bank.node == node:
            console.print(f"  memory {u64(bank.start) << PAGE_SHIFT:#x} to {bank.end << PAGE_SHIFT:#x}")


def frames_of(node: u32) -> u64:
    total: u64 = 0
    for bank in frames:
        if bank.node == node:
            total += u64(bank.frames)
    return total


def write_cpus(text: TextBuffer[TEXT], node: u32) -> None:
    """As a list of ranges."""
    written: u32 = 0
    end: u32 = 0
    for cpu in bounded(0, CONFIG_NR_CPUS, CONFIG_NR_CPUS):
        if cpu < end or not is_on(cpu, node):
            continue
        end = end_of_run(cpu, node)
        text.put(" CPUs " if written == 0 else ",")
        text.write(f"{cpu}")
        if end != cpu + 1:
            text.write(f"-{end - 1}")
        written += 1
    if written == 0:
        text.put(" no CPUs")


def end_of_run(first: u32, node: u32) -> u32:
    for cpu in bounded(first + 1, CONFIG_NR_CPUS, CONFIG_NR_CPUS):
        if not is_on(cpu, node):
            return cpu
    return CONFIG_NR_CPUS


def is_on(cpu: u32, node: u32) -> bool:
    return cpu in online and CpuNode.on(cpu).node == node
