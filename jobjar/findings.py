"""What is found to be wrong with a jar, and how it is shown.

Four severities: THREAT, a job may be lost, run twice or never run; PERSON, somebody has to decide or do something;
UNTIDY, left over and harmless, mended by recovery or by `jobjar check --repair`; INFORMATION, nobody needs to do
anything. Information alone is no reason to call a jar damaged.
"""

import os
from collections import namedtuple
from collections.abc import Iterable

from jobjar import text

THREAT, PERSON, UNTIDY, INFORMATION = "threat", "person", "untidy", "information"
SEVERITIES = (THREAT, PERSON, UNTIDY, INFORMATION)
HEADINGS = {THREAT: "jobs are in danger", PERSON: "a person is needed",
            UNTIDY: "untidy, but harmless", INFORMATION: "good to know"}

# Of one kind so many are shown; the others are counted. The JSON document has them all.
SHOWN = 10

# `kind`: a word for programs; `path`: where; `says`: one sentence, what it means and what to do. `proof`: what must be
# the same at the next look (an inode, the text of a link) for this to be the same finding.
Finding = namedtuple("Finding", "severity kind path says proof", defaults=((),))


def is_trouble(findings: Iterable[Finding]) -> bool:
    """Whether anything among them needs anybody."""
    return any(finding.severity != INFORMATION for finding in findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, then by kind and path; each once."""
    return sorted(set(findings), key=lambda f: (SEVERITIES.index(f.severity), f.kind, f.path, f.says))


def document(findings: Iterable[Finding]) -> list[dict]:
    """The findings for JSON."""
    return [{"severity": f.severity, "kind": f.kind, "path": f.path, "says": f.says} for f in findings]


def render(findings: list[Finding]) -> str:
    """The findings as text, one line each under a heading for each severity; names are escaped here."""
    return "\n".join(_section(severity, [f for f in findings if f.severity == severity])
                     for severity in SEVERITIES if any(f.severity == severity for f in findings))


def _section(severity: str, found: list[Finding]) -> str:
    lines = [f"{HEADINGS[severity]} ({len(found)}):"]
    for kind in dict.fromkeys(finding.kind for finding in found):
        alike = [finding for finding in found if finding.kind == kind]
        lines += [f"  {text.escape(f.path)}: {text.escape(f.says)}" for f in alike[:SHOWN]]
        if len(alike) > SHOWN:
            directory = text.escape(os.path.dirname(alike[-1].path))
            lines.append(f"  … and {len(alike) - SHOWN} more like that in {directory}")
    return "\n".join(lines) + "\n"
