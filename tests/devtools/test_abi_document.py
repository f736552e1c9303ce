"""docs/abi.md is what the program declares, and every operation in it names a test that is there."""

import ast
import re
from functools import cache

from devtools import abi
from devtools.paths import ROOT


@cache
def declared():
    return abi.declared_for_pc()


def test_the_document_is_as_old_as_the_code() -> None:
    assert abi.document(declared(), abi.read_notes()) == abi.DOCUMENT.read_text(), (
        "write it anew: python -m devtools.abi"
    )


def test_each_operation_has_a_test() -> None:
    notes = abi.read_notes()
    for operation in abi.operations(declared(), notes):
        for proof in abi.proofs(notes, operation.key):
            path, _, function = proof.partition("::")
            tree = ast.parse((ROOT / path).read_text())
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert function in names, f"{operation.key}: there is no {proof}"


def test_notes_are_about_operations_that_exist() -> None:
    notes = abi.read_notes()
    keys = {operation.key for operation in abi.operations(declared(), notes)}
    families = {key.partition(".")[0] for key in keys}
    for part in ("partial", "who"):
        assert set(notes[part]) <= keys
    assert set(notes["proven"]) <= keys | families


def test_operations_of_the_headers() -> None:
    by_name = {family.name: family for family in abi.FAMILIES}
    assert abi.macros(by_name["memory_op"])[7] == "add_to_physmap"
    assert abi.macros(by_name["event_channel_op"])[13] == "set_priority"
    assert abi.macros(by_name["vcpu_op"])[13] == "register_vcpu_time_memory_area"
    assert abi.names()[34] == "hvm_op"
    assert all(re.fullmatch(r"\w+", name) for name in abi.names().values())
