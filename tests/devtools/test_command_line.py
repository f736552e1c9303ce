"""The manual of the hypervisor's command line: every option that a module registers is in it, and no other."""

import re

from devtools.paths import ROOT


def test_every_option_is_in_the_manual():
    sources = (path.read_text() for path in (ROOT / "hv").rglob("*.py"))
    registered = {name for text in sources for name in re.findall(r'^@options\.entry\(name="([\w-]+)"\)', text, re.M)}
    table = [line.split(" | ")[0] for line in (ROOT / "docs/command-line.md").read_text().splitlines()]
    told = {name for cell in table if cell.startswith("| `") for name in re.findall(r"`([\w-]+)", cell)}
    assert told == registered
