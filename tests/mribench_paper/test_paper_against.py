"""Published values beside those of a run."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from mribench_paper.against import against_frame, against_tables
from mribench_paper.published import Published, load_published
from mribench_paper.tables import NUMBERS, PaperTables
from synthetic_results import DICE, HD95, PSNR, Benchmark, Cell, task

from mribench.cli.results import report as command
from mribench.errors import MRIBenchError
from mribench.interfaces.table import Table
from mribench.report import Material, load_run, render, run_document, set_beside

METHODS = ("base", "seqaug", "seqinv")


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    value = {"base": 0.5, "seqaug": 0.55, "seqinv": 0.6, "scratch": 0.4, "identity": 0.2}[cell["method"]]
    value += {"a": -0.1, "b": 0.0, "c": 0.1}[subject]
    return {DICE["id"]: value, HD95["id"]: 50 * (1 - value), PSNR["id"]: 30 * value}[metric]


def named(spec: dict[str, Any], entry: str, cohort: str) -> dict[str, Any]:
    return spec | {"task": entry, "dataset": cohort}


def run_of(root: Path, cohort_entry: str | None = "phantom", **changes: Any) -> Material:
    return material(write_run(root, cohort_entry, **changes))


def material(folder: Path) -> Material:
    return Material(load_run(folder), sources=(PaperTables(),))


def write_run(root: Path, cohort_entry: str | None = "phantom", **changes: Any) -> Path:
    sites, sequences = ("Guys", "HH"), ("T1w", "PDw")
    usual: dict[str, Any] = {
        "tasks": {
            "brains": named(task([DICE], (0.01, 0.5, 1.0), sequences, sites), "tissue-segmentation", "ixi"),
            "strokes": named(task([DICE, HD95], (1.0,), ("T2w",), ("ARC",)), "lesion-segmentation", "arc"),
            "other": named(task([DICE], (1.0,), ("T1w",), ("Guys",)), "some-task", "ixi"),
        },
        "methods": METHODS, "references": ("scratch", "identity"), "labels": ("GM",),
        "arms": ("frozen", "finetune"),
    }  # fmt: skip
    folder = Benchmark(**{"score": score} | usual | changes).write(root)
    if cohort_entry is not None:
        (path,) = (folder / "plans").glob("*.json")
        manifest = json.loads(path.read_text())
        for about in manifest["cohorts"].values():
            about["dataset"] = cohort_entry
        path.write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def paper() -> Published:
    return load_published(NUMBERS)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results that are read only."""
    folder = tmp_path_factory.mktemp("against") / "synthetic"
    write_run(folder)
    return folder


@pytest.fixture(scope="module")
def run(results: Path) -> Material:
    return material(results)


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """A folder of results of one seed and one arm."""
    return write_run(tmp_path / "synthetic", seeds=(0,), arms=("frozen",))


def value(paper: Published, **where: object) -> tuple[float, float]:
    cells = paper.cells
    for name, wanted in where.items():
        cells = cells[cells[name] == wanted]
    (row,) = cells.to_dict("records")
    return row["mean"], row["se"]


def column(table: Table, *header: str) -> dict[tuple[str, ...], Any]:
    (place,) = [n for n, found in enumerate(table.columns) if found.header == header]
    return {row.header: cells[place] for row, cells in zip(table.rows, table.cells, strict=True)}


def test_matched_cells_by_the_documented_names(run: Material, paper: Published) -> None:
    frame = against_frame(run, paper)
    # sites × sequences × the fractions of both × methods; sequence × metrics × methods
    assert len(frame) == 2 * 2 * 2 * 3 + 2 * 3
    assert set(frame["task"]) == {"brains", "strokes"}
    assert set(frame["arm"]) == {"frozen"}
    row = frame[
        (frame["test_site"] == "Guys") & (frame["test_sequence"] == "PDw") & (frame["fraction"] == 0.01)
        & (frame["row"] == "seqinv")
    ].iloc[0]  # fmt: skip
    mean, se = value(paper, table="1", site="GST", sequence="PDw", fraction=0.01, method="SeqInv")
    assert (mean, se) == (46.6, 0.9)
    assert (row["published_mean"], row["published_se"]) == pytest.approx((0.466, 0.009))
    assert row["difference"] == pytest.approx(0.6 - 0.466)


def test_tables_show_three_numbers_side_by_side(run: Material, paper: Published) -> None:
    tissue, lesion = against_tables(run, paper)
    assert tissue.name == "against-brains"
    assert [row.header for row in tissue.rows] == [
        (site, sequence, fraction)
        for site in ("Guys", "HH") for sequence in ("T1w", "PDw") for fraction in ("1 %", "100 %")
    ]  # fmt: skip
    assert [found.header[1:] for found in tissue.columns] == [
        (method, side)
        for method in METHODS
        for side in ("this run", "published, another cohort", "difference")
    ]
    head = ("dice % ↑", "seqinv")
    place = ("HH", "T1w", "1 %")
    own, theirs = (column(tissue, *head, side)[place] for side in ("this run", "published, another cohort"))
    assert (own.mean * own.scale, theirs.mean * theirs.scale) == pytest.approx((60.0, 57.7))
    assert column(tissue, *head, "difference")[place].text == "+2.3"
    assert column(lesion, "hd95:max-directed mm ↓", "seqaug", "published, another cohort")[
        ("ARC", "T2w", "100 %")
    ].mean == pytest.approx(14.0)
    assert (
        column(lesion, "hd95:max-directed mm ↓", "seqaug", "difference")[("ARC", "T2w", "100 %")].text
        == "+8.5"
    )


def test_nothing_is_marked_or_tested(run: Material, paper: Published) -> None:
    for table in against_tables(run, paper):
        assert {cell.mark for cells in table.cells for cell in cells if cell} == {"none"}
        assert "not tested" in " ".join(table.caption)


def test_the_caption_counts_what_has_no_counterpart(run: Material, paper: Published) -> None:
    tissue, lesion = (" ".join(table.caption) for table in against_tables(run, paper))
    # 81 values of table 1, 24 of them matched; 18 of table 2, 6 matched
    assert "Published cells without one of this run: 57 (such as Base DSC on GST T1w 10 %)" in tissue
    assert "Published cells without one of this run: 12 (such as Base DSC on ARC T1w 100 %)" in lesion
    # brains: 2 sites × 2 sequences × 3 fractions × (3 methods × 2 arms + scratch), less 24
    assert f"without a published one, references and all metrics included: {2 * 2 * 3 * 7 - 24}." in tissue
    assert f"without a published one, references and all metrics included: {2 * 7 - 6}." in lesion


def test_the_caption_says_that_the_cohort_is_another(run: Material, paper: Published) -> None:
    caption = " ".join(against_tables(run, paper)[0].caption)
    assert "other data, other scanners, one training each; this run's cohort is another (phantom)" in caption
    assert "doi:10.1007/978-3-032-05573-6_7" in caption


@pytest.mark.parametrize(("entry", "same"), [("ixi", True), ("phantom", False), (None, False)])
def test_a_cohort_is_the_same_only_by_its_reader(
    tmp_path: Path, paper: Published, entry: str | None, same: bool
) -> None:
    run = run_of(tmp_path, entry, seeds=(0,), arms=("frozen",))
    table = against_tables(run, paper)[0]
    sides = {found.header[-1] for found in table.columns}
    assert ("published" in sides) == same
    assert ("cohort is another" in " ".join(table.caption)) == (not same)


def test_other_definitions_are_named(run: Material, paper: Published) -> None:
    tissue, lesion = (" ".join(table.caption) for table in against_tables(run, paper))
    assert "Not the same definition: hd95:max-directed: the paper's words describe hd95:pooled." in lesion
    assert "Not the same definition" not in tissue


def test_a_cell_without_a_mean_has_no_difference(tmp_path: Path, paper: Published) -> None:
    states = {
        f"seqinv/frozen/brains/T1w/1/subset0/seed{seed}/test/HH/T1w": "failed" for seed in (0, 1)
    }  # fmt: skip
    table = against_tables(run_of(tmp_path, states=states), paper)[0]
    place = ("HH", "T1w", "100 %")
    assert column(table, "dice % ↑", "seqinv", "this run")[place].status == "failed"
    assert column(table, "dice % ↑", "seqinv", "difference")[place].text == "–"
    assert column(table, "dice % ↑", "seqinv", "published, another cohort")[place].mean == pytest.approx(
        0.774
    )


def test_a_run_without_any_counterpart_says_so(tmp_path: Path, paper: Published) -> None:
    run = run_of(tmp_path, tasks={"other": task([DICE])})
    (table,) = against_tables(run, paper)
    assert "No cell of this run has a published value." in table.caption
    assert any(sentence.startswith("No task in common: other in the run, ") for sentence in table.caption)
    assert not any(sentence.startswith("No metric") for sentence in table.caption)
    for name in ("terminal", "markdown", "latex", "html", "csv", "json"):
        render(set_beside(run_document(run, ["leaderboard"]), "paper"), name)


def test_tidy_rows_have_both_values(run: Material, paper: Published) -> None:
    document = set_beside(run_document(run, ["leaderboard"]), "paper")
    frame = pd.read_csv(io.StringIO(str(render(document, "csv"))))
    published = frame[frame["table"] == "against"]
    assert len(published) == 30
    assert (published["mean"] - published["published_mean"]).to_numpy() == pytest.approx(
        published["difference"].to_numpy()
    )
    assert set(published["published"]) == {"paper"}
    assert not published["same_cohort"].astype(bool).any()
    assert frame.loc[frame["table"] == "leaderboard", "published_mean"].isna().all()
    content = json.loads(str(render(document, "json")))
    assert content["published"] == "paper"
    assert "published_mean" not in str(render(run_document(run, ["leaderboard"]), "csv"))


def test_published_results_of_ones_own(tmp_path: Path, run: Material) -> None:
    """Names that no mapping knows are matched as they are."""
    text = (
        "table,task,site,sequence,fraction,method,metric,unit,higher_is_better,mean,se,printed_mark\n"
        "1,other,Guys,T1w,1,base,dice,%,true,40.25,,\n"
    )
    (tmp_path / "mine.csv").write_text(text)
    frame = against_frame(run, load_published(tmp_path / "mine.csv"))
    assert frame[["task", "row", "metric"]].to_numpy().tolist() == [["other", "base", "dice"]]
    assert frame["difference"].iloc[0] == pytest.approx(0.5 - 0.4025)
    assert math.isnan(frame["published_se"].iloc[0])


def test_no_match_is_said_on_standard_error_too(tmp_path: Path, few: Path) -> None:
    """Formats for programs have no captions; and a match is not commented on."""
    row = "1,other,{},T1w,1,{},dice,%,true,40.25,,\n"
    head = "table,task,site,sequence,fraction,method,metric,unit,higher_is_better,mean,se,printed_mark\n"
    file = tmp_path / "mine.csv"
    said = {}
    for name, site, method in (("fits", "Guys", "base"), ("site", "Oz", "base"), ("both", "Oz", "wizard")):
        file.write_text(head + row.format(site, method))
        found = CliRunner().invoke(command, [str(few), "--against", str(file), "--format", "csv"])
        assert found.exit_code == 0, found.output
        assert ("against" in set(pd.read_csv(io.StringIO(found.stdout))["table"])) == (name == "fits")
        said[name] = found.stderr
    assert said["fits"] == ""
    start = f"--against {file}: No cell of this run has a published value. "
    site = "No site in common: Guys, HH, ARC in the run, Oz published."
    method = "No method in common: base, seqaug, seqinv in the run, wizard published."
    assert said["site"] == f"{start}{site}\n"
    assert said["both"] == f"{start}{site} {method}\n"
    file.write_text(head + row.format("ARC", "base"))  # each name is there, and not together
    found = CliRunner().invoke(command, [str(few), "--against", str(file)])
    assert "Both have the same names, but no cell with the same ones." in found.stderr


def test_the_command(few: Path) -> None:
    found = CliRunner().invoke(command, [str(few), "--against", "paper", "--format", "markdown", "--save"])
    assert found.exit_code == 0, found.output
    assert "## synthetic: brains against paper" in found.stdout
    assert "## synthetic: leaderboard" in found.stdout
    assert (few / "report" / "against.md").is_file()
    empty = CliRunner().invoke(command, [str(few), "--against", ""])
    assert "there are no published results ''" in str(empty.exception)
    wrong = CliRunner().invoke(command, [str(few), "--against", "papper"])
    assert isinstance(wrong.exception, MRIBenchError)
    assert "did you mean 'paper'?" in wrong.exception.hint
