"""The machine's own apt sources, rewritten so that they serve a foreign architecture. Pure text work.

Both forms are known (sources.list(5)): one line per source, and paragraphs of fields. Kept are those of the
machine's own Debian release; restrictions to its architecture are dropped, since the guests' differs. Where packages
that were backported to the release are asked for, they come from the same servers as the release itself.
"""

import re
from collections.abc import Iterable, Sequence

ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


def of_release(codename: str, suites: Iterable[str]) -> bool:
    """Whether any of the suites belongs to the release: bookworm, bookworm-security, bookworm/updates, stable."""
    return any(re.fullmatch(rf"({codename}|stable)([-/].*)?", suite) for suite in suites)


def served(codename: str, suites: Sequence[str], backports: bool) -> Sequence[str]:
    """The suites to ask a source for that the machine asks for `suites`; none when it does not serve the release."""
    if backports:
        return [f"{codename}-backports"] if codename in suites or "stable" in suites else []
    return suites if of_release(codename, suites) else []


def one_line_sources(text: str, codename: str, backports: bool = False) -> str:
    """The lines of a sources.list that serve the release, without arch= options."""
    kept = []
    for line in text.splitlines():
        match = ONE_LINE.match(line.strip())
        if match is None:
            continue
        options = " ".join(word for word in (match["options"] or "").split() if not word.startswith("arch"))
        for suite in served(codename, [match["suite"]], backports):
            kept.append(f"deb {f'[{options}] ' if options else ''}{match['uri']} {suite} {match['components']}\n")
    return "".join(kept)


def paragraph_sources(text: str, codename: str, backports: bool = False) -> str:
    """The paragraphs of a .sources file that serve the release, without their Architectures field."""
    kept = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields: list[list[str]] = []
        for line in paragraph.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace() and fields:
                fields[-1].append(line)
            else:
                fields.append([line])
        values = {lines[0].partition(":")[0].strip().lower(): " ".join(lines).partition(":")[2] for lines in fields}
        if "deb" not in values.get("types", "").split() or values.get("enabled", "yes").strip() in ("no", "false"):
            continue
        suites = served(codename, values.get("suites", "").split(), backports)
        if not suites:
            continue
        wanted = [lines for lines in fields if not lines[0].lower().startswith(("architectures", "suites", "types"))]
        head = f"Types: deb\nSuites: {' '.join(suites)}\n"
        kept.append(head + "".join(line + "\n" for lines in wanted for line in lines))
    return "\n".join(kept)
