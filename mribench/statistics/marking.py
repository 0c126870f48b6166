"""Which cells of a table are compared and marked best and second, and what the marks claim."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from mribench.arms import IDENTITY
from mribench.interfaces.table import Mark
from mribench.statistics.difference import ENOUGH_SEEDS
from mribench.statistics.ranges import Range, RangeOf
from mribench.statistics.scores import estimate, list_keys as keys_of, number_groups
from mribench.statistics.tables import SEED, SUBJECT, SeedSubjectTable, split_tables, take_complete
from mribench.statistics.ties import ALPHA, JudgedFamily, judge_family, mark
from mribench.wording import list_some

Marking = Literal["ties", "paper", "none"]
"""``ties``: from five seeds on the best and all not separated from it, with fewer plain marks; ``paper``:
always plain best and second by means; ``none``."""
MARKINGS = get_args(Marking)
PLAIN, TESTED = "paper", "tested"
_PLAIN = (
    "Bold: best; underlined: second; of all rows but identity, by unrounded means over the same seeds and "
    "subjects; a cell that is incomplete or lacks what others have is out."
)
_TESTED = (
    "Bold: the best and all not separated from it; underlined: the next, if separated from the rest; of all "
    "rows but identity, over the same seeds and subjects; a cell that is incomplete or lacks what others "
    "have is out; all pairs, crossed, Holm, "
    f"familywise error {100 * ALPHA:g} % in each place and metric."
)
_MOST_OUT = 6
_COUNTED = (
    "n_subjects_total", "n_rows", "n_failed", "n_empty", "n_both_empty", "n_few", "n_missing_pairs",
)  # fmt: skip
"""What a cell says of all its rows, whatever is compared."""
ONE_PROFILE = "Marks are among the rows of one profile."
_FEWER = f"Where they share fewer than {ENOUGH_SEEDS} seeds: plain best and second, which claim nothing."


def compare_rows(
    frame: pd.DataFrame, keys: Sequence[str], means: pd.DataFrame, marking: Marking, range_of: RangeOf
) -> pd.DataFrame:
    """Compare the trained rows of the same place and metric: over the same seeds and subjects.

    Args:
        frame: cells.
        keys: columns in which the cells of one family agree, beside the metric.
        means: rows of ``subject_means`` by ``row``, ``keys`` and ``metric``.
        marking: what is marked.
        range_of: the value range of a cell.

    Returns:
        The cells, the estimates of those that are compared over what ``families.find_shared`` says; with
        ``out``, why a row is not compared though its jobs are done; ``mark``; and ``mark_style``: ``paper``
        or ``tested``, empty where nothing is compared.
    """
    frame = frame.assign(out="", mark="none", mark_style="")
    for family in list_families(frame, keys, means):
        rows, over = family.rows, family.over
        frame.loc[rows.index, "out"] = [over.out.get(row, "") for row in rows["row"]]
        inside = rows[rows["row"].isin(over.members)]
        members: Any = inside["row"].items()
        for at, row in members:
            again = _estimate_again(means, *family.known[row], over, range_of(rows.loc[at].to_dict()))
            frame.loc[at, list(again)] = list(again.values())
        if marking != "none" and len(inside):
            style, marks = _mark_family(frame.loc[inside.index], family.tables(), tested=marking == "ties")
            frame.loc[inside.index, "mark"], frame.loc[inside.index, "mark_style"] = marks, style
    return frame


@dataclass(frozen=True)
class Family:
    """The rows that are compared with each other in one place and metric.

    Attributes:
        rows: their cells, those that are not compared though they are done among them.
        known: the table of each row, and the positions of its rows among the means.
        over: what they are compared over.
    """

    rows: pd.DataFrame
    known: Mapping[str, tuple[SeedSubjectTable, np.ndarray]]
    over: Shared

    def tables(self) -> dict[str, SeedSubjectTable]:
        """Return the part of each member's table that is compared, in the order of the rows."""
        inside = [row for row in self.rows["row"] if row in self.over.members]
        return {row: self.over.part_of(self.known[row][0]) for row in inside}

    def judge(self) -> JudgedFamily:
        """Return what the tests between all pairs of its members say."""
        return judge_family(self.tables(), higher_is_better=bool(self.rows["higher_is_better"].iloc[0]))


def list_families(frame: pd.DataFrame, keys: Sequence[str], means: pd.DataFrame) -> Iterator[Family]:
    """Yield the families of some cells: all rows but identity whose jobs are done, by place and metric.

    Args:
        frame: as for ``compare_rows``.
        keys: as for ``compare_rows``.
        means: as for ``compare_rows``.
    """
    ranked = frame[(frame["arm"] != IDENTITY) & (frame["status"] == "ok")]
    if ranked.empty:
        return
    place = [*keys, "metric"]
    heads, number = number_groups(ranked, place)
    cells = _split_by_cell(means, place)
    for family, where in enumerate(keys_of(heads, place)):
        rows = ranked[number == family]
        known = {row: cells[where, row] for row in rows["row"] if (where, row) in cells}
        yield Family(rows, known, find_shared({row: table for row, (table, _) in known.items()}))


def _estimate_again(
    means: pd.DataFrame, table: SeedSubjectTable, group: np.ndarray, over: Shared, value_range: Range
) -> dict[str, float]:
    """Return what is other in the estimate of a cell over what is compared; nothing where that is all."""
    if take_complete(table.values).shape == (len(over.seeds), len(over.subjects)):
        return {}
    mine = means.take(group)
    kept = mine[mine[SEED].isin(over.seeds) & mine[SUBJECT].isin(over.subjects)]
    return {
        name: value for name, value in asdict(estimate(kept, value_range)).items() if name not in _COUNTED
    }


def _mark_family(
    cells: pd.DataFrame, tables: dict[str, SeedSubjectTable], *, tested: bool
) -> tuple[str, list[Mark]]:
    """Return the style and the marks of the rows that are compared; tested where they have the seeds."""
    higher = bool(cells["higher_is_better"].iloc[0])
    seeds, subjects = next(iter(tables.values())).values.shape
    if tested and seeds >= ENOUGH_SEEDS and subjects > 1:
        judged = judge_family(tables, higher_is_better=higher)
        if judged.style == TESTED:
            marked = dict(zip(judged.names, judged.marks, strict=True))
            return TESTED, [marked.get(row, "none") for row in cells["row"]]
    return PLAIN, mark(cells["mean"].tolist(), higher_is_better=higher)


def describe_marks(styles: Collection[str]) -> str:
    """Return what the marks of a table mean, by the styles in it."""
    if TESTED in styles:
        return f"{_TESTED} {_FEWER}" if PLAIN in styles else _TESTED
    return _PLAIN if PLAIN in styles else ""


def describe_left_out(frame: pd.DataFrame) -> str:
    """Return which rows are not compared though their jobs are done, and why."""
    out = frame[frame["out"].ne("")]
    if out.empty:
        return ""
    names = [name for name in ("task", "label", "metric") if name in out]
    places = out[names].astype(str).agg(", ".join, axis=1)
    texts = dict.fromkeys(out["row"].astype(str) + " (" + places + ": " + out["out"] + ")")
    return f"Not compared, for what they lack and others have: {list_some(list(texts), _MOST_OUT, '; ')}."


def _split_by_cell(
    means: pd.DataFrame, place: Sequence[str]
) -> dict[tuple[Hashable, str], tuple[SeedSubjectTable, np.ndarray]]:
    """Return the table of each cell, and the positions of its rows."""
    heads, number = number_groups(means, [*place, "row"])
    cells = zip(keys_of(heads, place), heads["row"], strict=True)
    groups = np.split(
        np.argsort(number, kind="stable"), np.searchsorted(np.sort(number), range(1, len(heads)))
    )
    tables = split_tables(means, number, len(heads))
    return dict(zip(cells, zip(tables, groups, strict=True), strict=True))


@dataclass(frozen=True)
class Shared:
    """What the rows of a column are compared over.

    A seed counts that at least half of the rows have, and a subject that at least half of the rows scored
    under all those seeds. A row that lacks one that counts is out: over fewer seeds or without the subjects
    that it could not score, it would be compared on what suits it. So no row decides alone what counts.

    Attributes:
        seeds: that count.
        subjects: that count.
        members: the rows that have all of them.
        out: why each other row is out, such as ``16 of 20 subjects``.
    """

    seeds: pd.Index = field(default_factory=lambda: pd.Index([]))
    subjects: pd.Index = field(default_factory=lambda: pd.Index([]))
    members: tuple[str, ...] = ()
    out: Mapping[str, str] = field(default_factory=dict)

    def part_of(self, table: SeedSubjectTable) -> SeedSubjectTable:
        """Return the part of a member's table that is compared."""
        rows, columns = table.seeds.get_indexer(self.seeds), table.subjects.get_indexer(self.subjects)
        return SeedSubjectTable(table.values[np.ix_(rows, columns)], self.seeds, self.subjects)


def find_shared(tables: Mapping[str, SeedSubjectTable]) -> Shared:
    """Return what the rows of a column are compared over.

    Args:
        tables: the scores of each row; rows whose jobs are not done are not among them.
    """
    if _are_alike(list(tables.values())):
        one = next(iter(tables.values()))
        return Shared(one.seeds, one.subjects, tuple(tables))
    scored = {row: pd.DataFrame(table.values, table.seeds, table.subjects) for row, table in tables.items()}
    seeds = _find_in_half(table.dropna(how="all").index for table in scored.values())
    whole = {
        row: table.columns[table.reindex(seeds).notna().all()] if len(seeds) else table.columns[:0]
        for row, table in scored.items()
    }
    subjects = _find_in_half(whole.values())
    out = {}
    for row, table in scored.items():
        own = table.dropna(how="all").index
        if len(seeds.difference(own)):
            out[row] = f"{len(seeds.intersection(own))} of {len(seeds)} seeds"
        elif len(subjects.difference(whole[row])):
            out[row] = f"{len(subjects.intersection(whole[row]))} of {len(subjects)} subjects"
    members = tuple(row for row in scored if row not in out)
    return Shared(seeds, subjects, members, out)


def _are_alike(tables: Sequence[SeedSubjectTable]) -> bool:
    """Return whether all have the same seeds and subjects, and lack nothing: the usual case, quickly."""
    return bool(tables) and all(
        table.seeds.equals(tables[0].seeds)
        and table.subjects.equals(tables[0].subjects)
        and not np.isnan(table.values).any()
        for table in tables
    )


def _find_in_half(owned: Iterable[pd.Index]) -> pd.Index:
    """Return what is in at least half of the indices, sorted."""
    indices = list(owned)
    counts = pd.Series([item for index in indices for item in index], dtype=object).value_counts()
    return pd.Index(sorted(counts.index[counts.ge(len(indices) / 2)]))
