"""The machine's own apt sources, rewritten so that they serve a foreign architecture. Pure text work.

Both forms are known (sources.list(5)): one line per source, and paragraphs of fields. Kept are those of the
machine's own Debian release; restrictions to its architecture are dropped, since the guests' differs.
"""

import re
from collections.abc import Iterable

ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


def of_release(codename: str, suites: Iterable[str]) -> bool:
    """Whether any of the suites belongs to the release: bookworm, bookworm-security, bookworm/updates, stable."""
    return any(re.fullmatch(rf"({codename}|stable)([-/].*)?", suite) for suite in suites)


def one_line_sources(text: str, codename: str) -> str:
    """The lines of a sources.list that serve the release, without arch= options."""
    kept = []
    for line in text.splitlines():
        match = ONE_LINE.match(line.strip())
        if match is None or not of_release(codename, [match["suite"]]):
            continue
        options = " ".join(word for word in (match["options"] or "").split() if not word.startswith("arch"))
        kept.append(f"deb {f'[{options}] ' if options else ''}{match['uri']} {match['suite']} {match['components']}\n")
    return "".join(kept)


def paragraph_sources(text: str, codename: str) -> str:
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
        if not of_release(codename, values.get("suites", "").split()):
            continue
        wanted = [lines for lines in fields if not lines[0].lower().startswith(("architectures", "types"))]
        kept.append("Types: deb\n" + "".join(line + "\n" for lines in wanted for line in lines))
    return "\n".join(kept)
