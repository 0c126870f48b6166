"""docs/report.md names every table, in its section of the page."""

from __future__ import annotations

import re
from pathlib import Path

from mribench.commands.plugins import table_sources
from mribench.report.catalogue import BUILT_IN
from mribench.report.page import TITLES

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def test_every_table_is_named_in_its_section() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Tables\n")[2]
    rows = dict(re.findall(r"^\| ([A-Z][\w ]+) \| (`.+) \|$", text, flags=re.MULTILINE))
    named = {title: set(re.findall(r"`([a-z-]+(?:-N)?)`", tables)) for title, tables in rows.items()}
    expected: dict[str, set[str]] = {}
    for spec in (*BUILT_IN, *(spec for source in table_sources() for spec in source.specs(["a task"]))):
        name = re.sub("[0-9]+$", "N", spec.name)
        expected.setdefault(TITLES[spec.section], set()).add(name)
    assert named == expected
