"""What cells of the page carry: status and intervals for downloads, marks that are heard, tested labels."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from html_results import SUBJECTS, noise
from report_tables import leaderboard, page
from scipy import stats
from support_html import Page
from synthetic_results import DICE, HD95, Benchmark, task

from mribench.interfaces.table import Cell, Column, Row, Sentence, Table
from mribench.report import Material, load_run
from mribench.report.figures import drawings
from mribench.report.render.html.tables import Datum, show
from mribench.report.tables import differences as pair_numbers
from mribench.report.tables.differences import pair_table
from mribench.report.tables.labels import label_tables
from mribench.report.tables.overview import overview
from mribench.results.cells import LEADERBOARD, cell_frame
from mribench.results.formatting import cell_text
from mribench.results.shown import interval_of
from mribench.statistics.intervals import estimate_interval
from mribench.statistics.marking import describe_marks
from mribench.statistics.tables import make_frame, take_complete

LABELS = ("GM", "WM")
LEVELS = {"base": 0.5, "seqinv": 0.8, "other": 0.8}
WILCOXON = "p of these checkpoints"


def separable(cell: dict[str, Any], metric: str, subject: str, label: str) -> float:
    """Two methods that differ by noise alone, and one far below them."""
    wobble = 0.01 * noise(cell["method"], cell["seed"], subject, label)
    return LEVELS.get(cell["method"], 0.95) + wobble - 0.1 * (label == "WM")


def made(root: Path, of=separable, methods=tuple(LEVELS), seeds=(0, 1), labels=LABELS, **changes) -> Material:
    changes = {"tasks": {"tissue": task([DICE])}, "subjects": SUBJECTS} | changes
    run = load_run(Benchmark(of, methods=methods, seeds=seeds, labels=labels, **changes).write(root))
    return Material(run, root)


def two_profiles(root: Path, methods: tuple[str, ...] = ("base", "seqinv"), seeds=(0, 1)) -> Material:
    made(root, methods=methods, seeds=seeds, profile="corrected")
    of = Benchmark(
        separable, {"tissue": task([DICE])}, methods, seeds, subjects=SUBJECTS, labels=LABELS,
        profile="paper", salt="p", created="2026-02-02",
    )  # fmt: skip
    of.write(root, "b" * 16)
    return Material(load_run(root), root)


def datum(cell: Cell | None) -> Datum:
    """A cell as the page has it."""
    shown = show(
        Table("t", "T", ("row",), (Row(("a",)),), (Column(("b",)),), ((cell,),), (Sentence("Said."),))
    )
    return shown.lines[0].data[0]


def by_label(table: Table) -> dict[str, list[Cell]]:
    cells = {row.header[0]: line for row, line in zip(table.rows, table.cells, strict=True)}
    return {row: [cell for cell in line if cell is not None] for row, line in cells.items()}


def said(table: Table) -> str:
    return " ".join(table.caption)


# What a download has


def test_a_partial_cell_carries_its_status_and_counts():
    found = datum(Cell(0.82, 0.01, 7, 8, 10, 12, "partial", scale=100.0, interval=(0.8, 0.84)))
    assert found.value == "82"
    assert found.beside == {
        "se": "1", "low": "80", "high": "84", "n": "7", "n-total": "8", "status": "partial",
        "jobs-done": "10", "jobs-expected": "12",
    }  # fmt: skip
    assert "[7/8]" in found.text
    assert "(partial 10/12)" in found.text


def test_a_subject_that_is_left_out_is_counted_in_a_cell_that_is_done():
    found = datum(Cell(0.82, 0.01, 7, 8, 12, 12, "ok"))
    assert {name: found.beside[name] for name in ("n", "n-total", "status")} == {
        "n": "7", "n-total": "8", "status": "ok",
    }  # fmt: skip
    assert "jobs-done" not in found.beside


@pytest.mark.parametrize("status", ["failed", "missing"])
def test_what_is_not_there_has_a_status_and_no_number(status):
    found = datum(Cell(n_subjects_total=8, status=status))
    assert found.value == ""
    assert found.beside == {"n": "0", "n-total": "8", "status": status}
    assert found.interval == ""


def test_a_difference_has_the_ends_of_its_interval_once():
    found = datum(Cell(0.012, 0.004, 8, 8, status="ok", scale=100.0, low=0.004, high=0.02))
    assert (found.value, found.beside["low"], found.beside["high"]) == ("1.2", "0.4", "2")
    assert found.text == "+1.2 [0.4, 2.0]"
    assert found.interval == "", "the text has it"


def test_a_text_that_has_its_interval_is_not_followed_by_it():
    found = datum(Cell(0.5, 0.1, 8, 8, status="ok", text="0.50 [0.31, 0.69]", interval=(0.31, 0.69)))
    assert found.interval == ""
    assert (found.beside["low"], found.beside["high"]) == ("0.31", "0.69")


def test_words_and_empty_places_have_nothing_beside_them():
    assert datum(None).beside == {}
    assert datum(Cell(status="ok", text="base")).beside == {}
    assert datum(Cell(0.03, status="ok", digits=3)).beside == {}


# Intervals below means


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (Cell(0.65, 0.02, 8, 8, status="ok", scale=100.0, interval=(0.612, 0.689)), "[61.2, 68.9]"),
        (Cell(4.0, 0.5, 8, 8, status="ok", digits=2, interval=(-0.001, 8.0)), "[0.00, 8.00]"),
        (Cell(0.65, 0.02, 8, 8, status="ok", scale=100.0), ""),
        (Cell(math.nan, math.nan, 0, 8, status="failed", interval=(0.1, 0.2)), ""),
    ],
)
def test_an_interval_is_shown_with_the_digits_of_its_mean(cell, expected):
    assert datum(cell).interval == expected
    assert "[6" not in cell_text(cell), "other formats print no interval"


def test_what_brackets_are_is_said_where_they_are():
    def notes(cell: Cell) -> tuple[str, ...]:
        columns, rows = (Column(("b",)),), (Row(("a",)),)
        return show(
            Table(
                "t",
                "T",
                ("row",),
                rows,
                columns,
                ((cell,),),
                (Sentence("First.", "what"), Sentence("Incomplete: x.", "missing")),
            )
        ).said

    sentence = "In brackets below a mean: its 95 % interval."
    assert notes(Cell(1.0, 0.1, 8, 8, status="ok", interval=(0.5, 1.5))) == (
        "First.", sentence, "Incomplete: x.",
    )  # fmt: skip
    assert sentence not in notes(Cell(1.0, 0.1, 8, 8, status="ok"))


def test_an_interval_needs_both_ends():
    assert interval_of(Cell(low=0.1)) is None
    assert interval_of(Cell(low=0.1, high=0.3)) == (0.1, 0.3)


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_leaderboard_below_five_seeds_shows_the_interval_of_the_statistics(tmp_path, seeds):
    material = made(tmp_path, seeds=tuple(range(seeds)))
    frame = cell_frame(material.run, LEADERBOARD)
    if not {"low", "high"} <= set(frame):
        pytest.skip("the cells have no interval yet")
    values = material.values[material.values["row"].eq("base")]
    expected = estimate_interval(take_complete(make_frame(values).to_numpy()))
    (cell,) = by_label(leaderboard(material.run))["base"]
    (card,) = Page(page(material.run, ["leaderboard"])).all("div", id="table-leaderboard")
    if seeds == 2:
        assert cell.interval is None
        assert f"seeds: {100 * expected.seed_low:.1f}, {100 * expected.seed_high:.1f}" in card.text
    else:
        assert cell.interval == pytest.approx((expected.low, expected.high))
        assert f"[{100 * expected.low:.1f}, {100 * expected.high:.1f}]" in card.text


# Marks that are heard


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(page(made(tmp_path_factory.mktemp("few")).run, ["leaderboard"]))


def test_marks_are_words_for_those_who_do_not_see_them(few):
    (card,) = few.all("div", id="table-leaderboard")
    for mark in ("best", "second"):
        (cell,) = few.all("td", card, class_=mark)
        assert [e.text.strip() for e in few.all("span", cell, class_="visually-hidden")] == [mark]
        assert mark not in few.all("span", cell, class_="v")[0].text, "downloads and sorting read this"
    plain = [
        e for e in few.all("td", card) if not {"best", "second"} & set(e.attributes.get("class", "").split())
    ]
    assert plain
    assert [e for e in plain if few.all("span", e, class_="visually-hidden")] == []


def test_every_table_has_the_name_of_its_heading(few):
    titles = {e.attributes["id"]: e.text for e in few.all("h3") if "id" in e.attributes}
    tables = few.all("table")
    assert tables
    for table in tables:
        assert titles[table.attributes["aria-labelledby"]].strip()


# Label by label


def test_labels_are_tested_where_the_leaderboard_is(tmp_path):
    material = made(tmp_path, seeds=tuple(range(5)))
    (table,) = label_tables(material)
    found = by_label(table)
    assert [cell.mark for cell in found["seqinv"]] == ["best", "best"], "equal methods are not separated"
    assert [cell.mark for cell in found["other"]] == ["best", "best"]
    assert describe_marks({"tested"}) in table.caption
    assert "Holm" in said(table)


def test_labels_have_plain_marks_below_five_seeds(tmp_path):
    (table,) = label_tables(made(tmp_path))
    found = by_label(table)
    for place in range(len(LABELS)):
        marks = {row: cells[place].mark for row, cells in found.items()}
        ranked = sorted(found, key=lambda row: -found[row][place].mean)
        assert [marks[row] for row in ranked] == ["best", "second", "none"]
    assert describe_marks({"paper"}) in table.caption


@pytest.mark.parametrize(("marking", "marked"), [("none", 0), ("paper", 4)])
def test_the_wished_marking_holds_for_labels_too(tmp_path, marking, marked):
    run = made(tmp_path, seeds=tuple(range(5))).run
    (table,) = label_tables(Material(dataclasses.replace(run, marking=marking)))
    marks = [cell.mark for cells in by_label(table).values() for cell in cells]
    assert len(marks) - marks.count("none") == marked
    assert ("Bold" in said(table)) == (marking != "none")


def test_no_row_of_labels_is_marked_with_a_job_missing(tmp_path):
    lost = {"seqinv/frozen/tissue/T1w/1/subset0/seed1/test/Guys/T1w": "todo"}
    (table,) = label_tables(
        made(tmp_path, lambda c, *_: LEVELS[c["method"]] + (c["method"] == "seqinv"), states=lost)
    )
    found = by_label(table)
    assert [cell.status for cell in found["seqinv"]] == ["partial", "partial"]
    assert {cell.mark for cell in found["seqinv"]} == {"none"}, "it leads, of one seed of two"
    assert cell_text(found["seqinv"][0]).endswith("(partial 1/2)")
    assert [cell.mark for cell in found["other"]] == ["best", "best"]


def test_identity_is_in_no_race_of_labels(tmp_path):
    (table,) = label_tables(made(tmp_path, references=("identity",)))
    found = by_label(table)
    assert found["identity"][0].mean > max(found[row][0].mean for row in LEVELS)
    assert [cell.mark for cell in found["identity"]] == ["none", "none"]


@pytest.mark.parametrize("label", ["GM", ""])
def test_a_subject_that_failed_is_flagged_in_each_label_that_lacks_it(tmp_path, label):
    """A scan that could not be scored has one failed row, without a label."""

    def of(cell: dict[str, Any], metric: str, subject: str, where: str) -> Any:
        if cell["method"] == "base" and cell["seed"] == 1 and subject == SUBJECTS[0]:
            return (math.nan, "failed", math.nan) if where in (label, "") else (0.5, "both-empty", 0.5)
        return (0.5, "both-empty", 0.5) if where == "" else separable(cell, metric, subject, where)

    material = made(tmp_path, of, labels=("", *LABELS))
    scores = material.run.scores
    whole = scores["label"].eq("")
    failed = scores["status"].eq("failed")
    gone = scores["method"].eq("base") & scores["seed"].eq(1) & scores["subject"].eq(SUBJECTS[0])
    kept = scores[(whole & failed & gone) | (~whole & ~gone)] if label == "" else scores[~whole]
    (table,) = label_tables(Material(dataclasses.replace(material.run, scores=kept)))
    found = by_label(table)
    flagged = [cell_text(cell).endswith(f"[{len(SUBJECTS) - 1}/{len(SUBJECTS)}]") for cell in found["base"]]
    assert flagged == [True, label == ""]
    assert not any("/" in cell_text(cell) for row in ("seqinv", "other") for cell in found[row])


def test_labels_average_to_the_leaderboard(tmp_path):
    material = made(tmp_path)
    (table,) = label_tables(material)
    (whole,) = by_label(leaderboard(material.run))["base"]
    parts = by_label(table)["base"]
    assert sum(cell.mean for cell in parts) / len(parts) == pytest.approx(whole.mean)
    assert {cell.n_subjects for cell in parts} == {len(SUBJECTS)}


def test_a_task_with_one_label_has_no_table_of_labels(tmp_path):
    assert label_tables(made(tmp_path, labels=("",))) == []


# Every two methods


def test_wilcoxon_is_named_for_what_it_is_and_is_scipys(tmp_path):
    material = made(tmp_path)
    (table,) = pair_table(material)
    place = [column.header[-1] for column in table.columns].index(WILCOXON)
    means = material.values.groupby(["row", "subject"])["value"].mean()
    for row, cells in zip(table.rows, table.cells, strict=True):
        first, second = (means[name].sort_index() for name in row.header)
        expected = stats.wilcoxon(first - second, method="exact").pvalue
        assert cells[place].mean == pytest.approx(expected)
    assert "says nothing about methods" in said(table)
    shown = show(table)
    assert any("says nothing about methods" in sentence for sentence in shown.said), "never folded away"


def test_two_checkpoints_that_lead_everywhere_differ_at_the_smallest_p(tmp_path):
    (table,) = pair_table(
        made(tmp_path, lambda c, m, s, w: LEVELS[c["method"]] + 0.1 * noise(s), ("base", "seqinv"))
    )
    ((*_, found),) = table.cells
    assert found.mean == pytest.approx(2 / 2 ** len(SUBJECTS))


def test_many_subjects_have_no_exact_test_and_it_is_said(tmp_path, monkeypatch):
    tasks = {"tissue": task([DICE]), "lesion": task([HD95])}

    def of(cell: dict[str, Any], metric: str, subject: str, label: str) -> Any:
        few = cell["task"] == "lesion" and subject == SUBJECTS[0]
        return (math.nan, "failed", math.nan) if few else separable(cell, metric, subject, label)

    material = made(tmp_path, of, tasks=tasks)
    monkeypatch.setattr(pair_numbers, "_MOST_SUBJECTS", len(SUBJECTS) - 1)
    (table,) = pair_table(material)
    at = {
        column.header[0].split()[0]: n
        for n, column in enumerate(table.columns)
        if column.header[-1] == WILCOXON
    }
    assert {cells[at["tissue"]] for cells in table.cells} == {None}
    assert None not in {cells[at["lesion"]] for cells in table.cells}
    assert f"Left out above {len(SUBJECTS) - 1} subjects." in said(table)
    monkeypatch.setattr(pair_numbers, "_MOST_SUBJECTS", 3)
    (table,) = pair_table(material)
    assert WILCOXON not in {column.header[-1] for column in table.columns}
    assert "Wilcoxon" not in said(table)
    assert {len(cells) for cells in table.cells} == {len(table.columns)}


def test_pairs_are_of_one_profile(tmp_path):
    (table,) = pair_table(two_profiles(tmp_path, tuple(LEVELS)))
    pairs = {row.header for row in table.rows}
    assert pairs == {
        (f"{one} [{profile}]", f"{other} [{profile}]")
        for profile in ("corrected", "paper")
        for one, other in itertools.combinations(LEVELS, 2)
    }


def test_marks_of_labels_are_among_the_rows_of_one_profile(tmp_path):
    (table,) = label_tables(two_profiles(tmp_path))
    found = by_label(table)
    for profile in ("corrected", "paper"):
        assert {cell.mark for cell in found[f"seqinv [{profile}]"]} == {"best"}
        assert {cell.mark for cell in found[f"base [{profile}]"]} == {"second"}
    assert "Marks are among the rows of one profile." in table.caption


def test_each_profile_has_its_own_leader(tmp_path):
    (table,) = overview(two_profiles(tmp_path))
    heads = [row.header[0] for row in table.rows]
    assert heads == [f"tissue · 100 % labels [{profile}]" for profile in ("corrected", "paper")]
    leaders = [(line[0].text, line[2].text) for line in table.cells]
    assert leaders == [(f"seqinv [{name}]", f"base [{name}]") for name in ("corrected", "paper")]


def test_one_method_in_two_profiles_is_no_pair(tmp_path):
    material = two_profiles(tmp_path, ("base",))
    assert len(material.rows) == 2
    assert pair_table(material) == []
    assert [drawing.name for drawing in drawings(material, "differences") if drawing.name == "forest"] == []


def test_the_forest_compares_within_a_profile(tmp_path):
    material = two_profiles(tmp_path)
    (forest,) = (drawing for drawing in drawings(material, "differences") if drawing.name == "forest")
    words = forest.alt.partition("tissue")[2]
    assert [f"{row} " in words for row in material.rows] == [
        row.startswith("seqinv") for row in material.rows
    ]
    assert "the first of its profile" in forest.caption[0]
    assert b"seqinv" in forest.bytes("svg")


def test_the_pair_table_has_the_same_numbers_whatever_other_profiles_there_are(tmp_path):
    (alone,) = pair_table(made(tmp_path / "one", methods=("base", "seqinv")))
    (both,) = pair_table(two_profiles(tmp_path / "two"))
    texts = {
        row.header[0]: [cell_text(cell) for cell in line]
        for row, line in zip(both.rows, both.cells, strict=True)
    }
    assert texts["base [corrected]"] == [cell_text(cell) for cell in alone.cells[0]]


# The whole


def test_every_cell_that_was_counted_says_its_status(html):
    found = Page(html)
    counted = [e for e in found.all("td") if "data-n-total" in e.attributes]
    assert len(counted) > 100
    assert {e.attributes["data-status"] for e in counted} >= {"ok", "partial"}
    for cell in counted:
        partial = cell.attributes["data-status"] == "partial"
        assert ("data-jobs-done" in cell.attributes) == partial
        assert partial == ("(partial" in cell.text)
        n, total = (int(cell.attributes[name]) for name in ("data-n", "data-n-total"))
        assert (n < total) == (f"[{n}/{total}]" in cell.text)
