"""A Debian guest that owns the machine's PCI bus drives the network card on it: what it fetches from a server on the
computer that emulates arrives as it was, and what the card is aimed at elsewhere stays as it is.
"""

import hashlib
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from console import assert_well

from devtools.machine import Machine
from devtools.paths import SCENARIOS

pytestmark = pytest.mark.arm64

SECONDS = 120
FETCH_SECONDS = 300
SEED = 0x9C1E
HOST = "10.0.2.2"  # the emulating computer, in QEMU's user network
MEMORY_WINDOW = "MEM 0x{:010x}..0x{:010x} -> 0x0010000000"
"""How Linux tells where it finds what the bus has from there on."""
SECRETS, NOTHING, UART = 0x6880_0000, 0x3000_0000, 0x900_0000
"""Of the machine: where the other guest has its secrets, nothing at all, and the hypervisor's UART. linux1 has nothing
at any of them.
"""


class Server:
    """Serves bytes that never repeat to who asks for a number of MiB."""

    def __init__(self, mib: int) -> None:
        self.data = data = random.Random(SEED).randbytes(mib << 20)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                size = int(self.path.removeprefix("/")) << 20
                self.send_response(200)
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(data[:size])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def fetched_by(self, machine: Machine, mib: int) -> None:
        """The shell in front fetches so many MiB: they arrive as they were sent, and the card interrupts for them."""
        machine.send(f"/workloads/fetch http://{HOST}:{self.http.server_port}/{mib}\r")
        said = machine.expect(re.compile(r"FETCHED [0-9a-f]* by \d+ interrupts"), FETCH_SECONDS).split()
        assert said[1] == hashlib.sha256(self.data[: mib << 20]).hexdigest()
        assert int(said[3]) > 0


@contextmanager
def serving(mib: int) -> Iterator[Server]:
    server = Server(mib)
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()


def line_of(text: str) -> int:
    """Which line of the partition file begins so, the first."""
    lines = (SCENARIOS / "arm64-pcie.toml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(text))


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("arm64-pcie", 1),
        pytest.param("arm64-pcie-stage2", 2, marks=pytest.mark.long),
    ],
)
def test_a_network_card_behind_an_smmu_moves_its_guests_bytes_alone(booted, name: str, stage: int) -> None:
    """32 MiB arrive rightly. Aimed elsewhere, the card is stopped at each read and write, and the hypervisor says which
    device of whom it was and which line of the partition file gives its guest what lies nearest. The other guest finds
    its secrets as they were, and linux1 goes on with the card.
    """
    with serving(32) as server:
        machine = booted(name)
        machine.expect(f"(hv) smmuv3@9050000: confines devices by stage {stage}, 65536 streams", SECONDS)
        machine.expect_all(["DONE linux1 ok", "READY watch"], SECONDS)
        assert MEMORY_WINDOW.format(0x1_0000_0000, 0x1_2EFE_FFFF) in machine.output
        server.fetched_by(machine, 32)

        machine.send(f"/workloads/aim {SECRETS:#x} {NOTHING:#x} {UART:#x}\r")
        for address in (SECRETS, NOTHING, UART):
            for place, way in ((address, "read"), (address + 4, "write")):  # the card notes what it has done at 4
                fault = f"stream 0x8 of smmuv3@9050000: translation fault at {place:#x} ({way}) (arm64-pcie.toml:"
                machine.expect(f"(hv) d1 linux1: {fault}", SECONDS)
            machine.expect(f"AIMED at {address:#x}", SECONDS)
        machine.expect("GIVEN BACK 0000:00:01.0", SECONDS)
        line = line_of('memory = "256M"')
        assert f"fault at {SECRETS:#x} (read) (arm64-pcie.toml:{line} ends at 0x50000000)" in machine.output

        machine.expect("WATCHED watch", SECONDS)
        machine.expect("WATCHED watch", SECONDS)
        server.fetched_by(machine, 4)
        assert_well(machine)


def test_a_trusted_guest_drives_a_network_card_without_an_iommu(booted) -> None:
    """Direct-mapped, the addresses that it gives the card are the machine's, and so are the bridge's windows."""
    with serving(4) as server:
        machine = booted("arm64-pcie-direct")
        machine.expect_all(["DONE linux1 ok", "READY watch"], SECONDS)
        assert MEMORY_WINDOW.format(0x1000_0000, 0x3EFE_FFFF) in machine.output
        assert "confines devices" not in machine.output
        server.fetched_by(machine, 4)
        machine.expect("WATCHED watch", SECONDS)
        assert_well(machine)
