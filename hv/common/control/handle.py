"""What a guest's handle leads to: guest memory by virtual address, page by page, with the caller's own rights.

Another vCPU may change map, tables and contents meanwhile: each page is looked up anew, and each byte read once.
"""

from hv.common.mm.guest_copy import copy_from_guest, copy_to_guest, page_rest
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu, architecture
from hv.lang import raises, u64, unbounded


@raises
@unbounded("each step goes on to the next page")
def read_guest(caller: Vcpu, address: u64, to: u64, length: u64) -> None:
    """To mapped memory at `to`. EFAULT: the caller cannot read all of it; what lies before has been copied."""
    done: u64 = 0
    while done < length:
        count = min(length - done, page_rest(address + done))
        at = architecture.vcpus.translate(caller, address + done, False)
        copy_from_guest(DomainMemory.of(caller.domain).p2m, at, to + done, count)
        done += count


@raises
@unbounded("each step goes on to the next page")
def write_guest(caller: Vcpu, address: u64, source: u64, length: u64) -> None:
    """From mapped memory at `source`. EFAULT: the caller cannot write all of it; what lies before has been written."""
    done: u64 = 0
    while done < length:
        count = min(length - done, page_rest(address + done))
        at = architecture.vcpus.translate(caller, address + done, True)
        copy_to_guest(DomainMemory.of(caller.domain).p2m, at, source + done, count)
        done += count
