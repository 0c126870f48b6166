"""Deliberately broken sources of tables: the checks find them and say what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mribench.interfaces import Entry
from mribench.interfaces.document import TableSpec
from mribench.interfaces.table_source import Beside, GridSpec, LayoutSpec, TableSource
from mribench.testing import ConformanceError, check_entry, check_tables

GRID = GridSpec("sizes", LayoutSpec(rows=["method"], columns=["task"]))
SPEC = TableSpec("counts", "results", lambda run: [])


class Good(TableSource):
    """Conforms: a table for each task, one of its own, and results that it knows."""

    published = ("theirs",)

    def specs(self, tasks):
        return [SPEC, *(replace(GRID, name=f"sizes-{task}") for task in tasks)]

    def beside(self, given):
        return Beside(SPEC, {"published": "theirs"}) if given == "theirs" else None


class Twice(Good):
    def specs(self, tasks):
        return [SPEC, SPEC]


class Shouting(Good):
    def specs(self, tasks):
        return [replace(GRID, name="Sizes of 3")]


class Elsewhere(Good):
    def specs(self, tasks):
        return [replace(SPEC, section="appendix")]


class Fickle(Good):
    calls = 0

    def specs(self, tasks):
        self.calls += 1
        return [replace(GRID, name=f"sizes-{self.calls}")]


class Plain(Good):
    def specs(self, tasks):
        return [{"name": "sizes"}]


class Forgetful(Good):
    published = ("theirs", "others")


class Greedy(Good):
    def beside(self, given):
        return Beside(SPEC, {})


class Reader(Good):
    def document(self, path: Path):
        return path


def test_what_conforms_passes():
    check_tables(Good())
    check_entry(Entry("table", "sizes", lambda _: Good(), summary="sizes"))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (object(), "expected a TableSource, got object"),
        (Twice(), "two of one name"),
        (Shouting(), "table 'Sizes of 3': a name is lower case"),
        (Elsewhere(), "the page has no section 'appendix'"),
        (Fickle(), "other tables the second time"),
        (Forgetful(), "the published results 'others' are not known"),
        (Greedy(), "beside\\(\\) takes"),
        (Reader(), "document\\(\\) takes"),
    ],
)
def test_what_is_broken_is_named(source, sentence):
    with pytest.raises(ConformanceError, match=sentence):
        check_tables(source)
    with pytest.raises(ConformanceError, match=sentence):
        check_entry(Entry("table", "sizes", lambda _: source, summary="sizes"))


def test_what_is_no_table_is_named():
    with pytest.raises(ConformanceError, match="expected a TableSpec or a GridSpec, got dict"):
        check_tables(Plain())
