"""What a program declares is written down for the documentation of the ABI and for the fuzzers' grammars."""

from typing import Any

from compiler import driver
from compiler.config import ROOT
from compiler.described import described
from compiler.program import Program
from tests.language.harness import FEATURES, library


def declared(name: str) -> dict[str, Any]:
    program = Program(ROOT, driver.TARGETS["host"], {})
    program.load_file(name, FEATURES / f"{name}.py")
    return described(driver.front_end(program))


def test_hypercalls() -> None:
    entries = declared("hypercalls")["registries"]["hypercalls.hypercall"]["entries"]
    send, populate, count = entries
    assert send["fields"] == {"number": 32, "sub": 4, "may_call": "ANY", "event": "evtchn_send"}
    assert send["documentation"] == "Signals the other end of a port. EINVAL: the port cannot be sent to."
    assert (send["function"], send["raises"], send["preemptible"]) == ("hypercalls.send", ["EINVAL"], False)
    assert send["arguments"]["request"]["type"] == "evtchn_send_t"
    assert send["arguments"]["request"]["native"]["fields"] == [
        {"name": "port", "type": "Port", "offset": 0, "size": 4}
    ]
    assert (populate["preemptible"], populate["fields"]["may_call"], populate["raises"]) == (True, "CONTROL", [])
    assert (count["fields"]["sub"], count["raises"], count["parameters"][1]) == (7, None, ["request", "Populate"])
    source = (FEATURES / "hypercalls.py").read_text().splitlines()
    assert source[send["line"] - 1].startswith("def send(")


def test_both_forms() -> None:
    layout = declared("abi")["layouts"]["abi.AddToPhysmap"]
    assert (layout["header"], layout["native"]["size"], layout["compat"]["size"]) == ("xen/memory.h", 24, 16)
    assert layout["compat"]["fields"][4] == {"name": "gpfn", "type": "u32", "offset": 12, "size": 4}


def test_registers() -> None:
    register = declared("bit_fields")["bits"]["bit_fields.ListRegister"]
    assert register["documentation"].startswith("ICH_LR<n>_EL2")
    assert register["fields"]["virtual_id"] == {"high": 31, "low": 0, "type": "u64"}


def test_written_beside_the_symbols() -> None:
    assert (library("hypercalls").path.parent / "declared.json").exists()
