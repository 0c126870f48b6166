"""The table ``invariance``: computed by hand, in every format, and with everything that can be missing."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_tables import build, render_run, save_report, table_names
from rich.console import Console
from synthetic_results import Benchmark, Cell

from mribench.interfaces import table as report_model
from mribench.report import Material, load_run
from mribench.report.tables.invariance import invariance_frame, invariance_table
from mribench.results import SCHEMA
from mribench.results.measures import MEASURES
from mribench.results.records import INVARIANCE_SCHEMA, JOB_SCHEMA, write_table
from mribench.statistics import estimate_mean_and_se

METHODS = ("base", "seqinv", "random-frozen")
LEVEL = {"base": 0.2, "seqinv": 0.6, "random-frozen": -0.1}
SUBJECT = {"a": -0.1, "b": 0.0, "c": 0.1}
CHANCE = {
    "similarity:margin": 0.0,
    "retrieval:cross-sequence": 1 / 3,
    "decode:sequence": 0.25,
    "decode:site": 0.5,
}
Row = dict[str, Any]


def usual(method: str, measure: str, subject: str, seed: int) -> float:
    level = LEVEL[method] + 0.02 * seed
    return level + SUBJECT[subject] if subject else 0.5 - level / 2


@dataclass
class Embeds:
    """Embed jobs and their results; change the fields, then ``add`` them to a written benchmark."""

    value: Callable[[str, str, str, int], float] = usual
    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1)
    cohorts: tuple[str, ...] = ("ixi",)
    digest: str = "d1g3st00"
    states: dict[str, str] = field(default_factory=dict)
    change: Callable[[Row], Row] = lambda row: row
    salt: str = ""
    profile: str = "corrected"
    written: str = "2026-01-01T00:00:00+00:00"

    def add(self, root: Path, plan: str = "0123456789abcdef") -> Path:
        path = root / "plans" / f"{plan}.json"
        manifest = json.loads(path.read_text())
        jobs = [self._job(m, c, s) for c in self.cohorts for m in self.methods for s in self.seeds]
        manifest["jobs"] += jobs
        path.write_text(json.dumps(manifest))
        for job in jobs:
            self._write(root / "jobs" / job["key"], job)
        return root

    def _job(self, method: str, cohort: str, seed: int) -> dict[str, Any]:
        name = f"{method}/invariance/{cohort}/seed{seed}"
        cell = {
            "benchmark": "synthetic", "profile": self.profile, "method": method, "views": "v",
            "objective": "o", "encoder": "e", "dataset": cohort,
            "arm": method if method == "random-frozen" else "frozen",
            "seed": seed,
        }  # fmt: skip
        key = hashlib.sha256(f"{name}{self.salt}{self.profile}".encode()).hexdigest()[:32]
        return {"key": key, "id": name, "kind": "embed", "cell": cell, "needs": [], "pretrain": None}

    def _write(self, folder: Path, job: dict[str, Any]) -> None:
        state = self.states.get(job["id"], "done")
        if state == "todo":
            return
        folder.mkdir(parents=True, exist_ok=True)
        status = {
            "schema": SCHEMA,
            "state": state,
            "reason": "it broke",
            "traceback": "",
            "written": self.written,
        }
        (folder / "status.json").write_text(json.dumps(status))
        if state == "done":
            row = {"job_key": job["key"], "id": job["id"], "kind": "embed"}
            write_table(folder / "job.parquet", [row], JOB_SCHEMA)
            write_table(folder / "invariance.parquet", self._rows(job), INVARIANCE_SCHEMA)

    def _rows(self, job: dict[str, Any]) -> Iterable[Row]:
        cell = job["cell"]
        for name, measure in MEASURES.items():
            for subject in SUBJECT if measure.per_subject else ("",):
                value = self.value(cell["method"], name, subject, cell["seed"])
                yield self.change(
                    cell
                    | {
                        "job_key": job["key"], "split_digest": self.digest, "patch_vox": 24, "measure": name,
                        "subject": subject, "value": value, "chance": CHANCE.get(name, math.nan), "n": 12,
                        "n_subjects": 1 if subject else 3, "n_failed": 0, "n_windows": 40, "status": "ok",
                        "reason": "",
                    }
                )  # fmt: skip


def no_score(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.5


def written(root: Path, *embeds: Embeds, **fields: Any) -> Path:
    Benchmark(no_score, **({"references": ("scratch", "random-frozen")} | fields)).write(root)
    for part in embeds:
        part.add(root)
    return root


def cells(
    table: report_model.Table, measure: str, cohort: str = "ixi"
) -> dict[str, report_model.Cell | None]:
    [place] = [
        place for place, column in enumerate(table.columns)
        if column.header[0] == cohort and column.header[1].split()[0] == measure
    ]  # fmt: skip
    return {row.header[0]: found[place] for row, found in zip(table.rows, table.cells, strict=True)}


def caption_of(table: report_model.Table) -> str:
    return "\n".join(table.caption)


# By hand


def test_rows_and_columns(tmp_path: Path) -> None:
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(cohorts=("ixi", "arc"))))))
    assert [row.header for row in table.rows] == [("base",), ("seqinv",), ("random-frozen",)]
    assert [column.header for column in table.columns[: len(MEASURES)]] == [
        ("ixi", "similarity:within ↑"),
        ("ixi", "similarity:between ↓"),
        ("ixi", "similarity:margin ↑", "chance 0"),
        ("ixi", "retrieval:cross-sequence % ↑", "chance 33.3"),
        ("ixi", "decode:sequence % ↓", "chance 25.0"),
        ("ixi", "decode:site % ↓", "chance 50.0"),
        ("ixi", "effective-rank ↑"),
        ("ixi", "embedding-sd"),
    ]
    assert [column.header[0] for column in table.columns[len(MEASURES) :]] == ["arc"] * len(MEASURES)
    assert all(cell is not None and cell.status == "ok" for row in table.cells for cell in row)


def test_a_measure_of_subjects_has_the_crossed_standard_error(tmp_path: Path) -> None:
    cell = cells(invariance_table(Material(load_run(written(tmp_path, Embeds())))), "similarity:margin")[
        "seqinv"
    ]
    assert cell is not None
    mean, se, _ = estimate_mean_and_se(np.array([[0.5, 0.6, 0.7], [0.52, 0.62, 0.72]]))
    assert (cell.mean, cell.se) == pytest.approx((mean, se))
    assert (cell.mean, cell.se) == pytest.approx((0.61, math.sqrt(0.0004 / 4 + 0.01 / 3)))
    assert (cell.n_subjects, cell.n_subjects_total, cell.jobs_done, cell.jobs_expected) == (3, 3, 2, 2)
    assert (cell.scale, cell.digits) == (1.0, 2)


def test_a_measure_of_the_set_has_the_standard_error_over_seeds(tmp_path: Path) -> None:
    cell = cells(invariance_table(Material(load_run(written(tmp_path, Embeds())))), "decode:sequence")[
        "seqinv"
    ]
    assert cell is not None
    assert cell.mean == pytest.approx((0.2 + 0.19) / 2)
    assert cell.se == pytest.approx(0.005)
    assert cell.scale == 100.0


def test_one_seed_has_no_standard_error_over_seeds(tmp_path: Path) -> None:
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(seeds=(0,)), seeds=(0,)))))
    cell = cells(table, "decode:site")["base"]
    assert cell is not None
    assert math.isnan(cell.se)
    assert cells(table, "similarity:within")["base"].se == pytest.approx(0.1 / math.sqrt(3))  # type: ignore[union-attr]
    assert "none with one seed" in caption_of(table)
    assert "One seed: valid for these checkpoints only." in table.caption


def test_marks_follow_the_direction_and_leave_out_what_has_none(tmp_path: Path) -> None:
    table = invariance_table(Material(load_run(written(tmp_path, Embeds()))))

    def marks(measure: str) -> list[str]:
        return [cell.mark for cell in cells(table, measure).values() if cell]

    assert marks("similarity:margin") == ["second", "best", "none"]
    assert marks("similarity:between") == ["second", "none", "best"]
    assert marks("decode:sequence") == ["second", "best", "none"]
    assert marks("effective-rank") == ["second", "none", "best"]
    assert marks("embedding-sd") == ["none"] * 3


def test_cohorts_are_marked_apart(tmp_path: Path) -> None:
    other = Embeds(
        lambda method, measure, subject, seed: usual(method, measure, subject, seed) * -1, cohorts=("arc",)
    )
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(), other))))
    assert [c.mark for c in cells(table, "similarity:margin", "arc").values() if c] == [
        "second",
        "none",
        "best",
    ]
    assert [c.mark for c in cells(table, "similarity:margin").values() if c] == ["second", "best", "none"]


def test_caption(tmp_path: Path) -> None:
    table = invariance_table(Material(load_run(written(tmp_path, Embeds()))))
    text = caption_of(table)
    assert "Mean ± SE over the test subjects of all sites; ixi: 3 subjects; 2 seeds." in table.caption
    assert "windows of 24 voxels over the head, 3.3 a scan." in text
    assert "centred by their mean over all scans" in text
    assert "An encoder that maps everything to one point is invariant to everything" in text
    assert "2 seeds: too few seeds to tell methods apart." in table.caption
    assert "Profile: corrected." in table.caption
    for name in MEASURES:
        assert f"{name}: {MEASURES[name].summary}" in text
    assert "Incomplete" not in text


def test_caption_names_the_sequences_of_the_benchmark_file(tmp_path: Path) -> None:
    written(tmp_path, Embeds())
    path = tmp_path / "plans" / "0123456789abcdef.json"
    manifest = json.loads(path.read_text())
    manifest["cohorts"]["ixi"]["invariance"] = ["T1w", "PDw"]
    path.write_text(json.dumps(manifest))
    assert "ixi: 3 subjects (T1w, PDw); 2 seeds." in caption_of(
        invariance_table(Material(load_run(tmp_path)))
    )


def test_the_collapsed_encoder_has_its_sign(tmp_path: Path) -> None:
    pretrained = {"base/pretrain/seed0": {"collapsed": True, "collapse_reason": "mean cosine 1.000 > 0.95"}}
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(), pretrained=pretrained))))
    assert [row.flags for row in table.rows] == ["†", "", ""]
    assert "† Collapsed encoder: base" in caption_of(table)


# What is missing


def test_nothing_planned(tmp_path: Path) -> None:
    run = load_run(written(tmp_path))
    assert "invariance" in table_names(run)
    [table] = build(run, "invariance")
    assert (table.rows, table.columns, table.caption) == ((), (), ("Nothing is planned.",))
    assert "Nothing is planned." in (render_run(run, ["invariance"], "markdown") or "")
    assert json.loads(render_run(run, ["invariance"], "json") or "")["cells"] == []
    assert len((render_run(run, ["invariance"], "csv") or "").splitlines()) == 1
    console = Console(file=io.StringIO(), width=100)
    render_run(run, ["invariance"], "terminal", console)
    assert "Nothing is planned." in console.file.getvalue()  # type: ignore[attr-defined]
    assert invariance_frame(run).empty


def test_partial_missing_and_failed_cells(tmp_path: Path) -> None:
    states = {
        "base/invariance/ixi/seed1": "todo",
        "seqinv/invariance/ixi/seed0": "failed",
        "seqinv/invariance/ixi/seed1": "failed",
        "random-frozen/invariance/ixi/seed0": "todo",
        "random-frozen/invariance/ixi/seed1": "todo",
    }
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(states=states)))))
    found = cells(table, "similarity:margin")
    assert {name: cell.status for name, cell in found.items() if cell} == {
        "base": "partial", "seqinv": "failed", "random-frozen": "missing",
    }  # fmt: skip
    assert {cell.mark for cell in found.values() if cell} == {"none"}
    text = caption_of(table)
    assert "Incomplete: cells failed: 8; cells missing: 8; cells partial: 8." in text
    assert "seqinv/invariance/ixi/seed0: it broke" in text


def test_nothing_done_yet(tmp_path: Path) -> None:
    states = {f"{method}/invariance/ixi/seed{seed}": "todo" for method in METHODS for seed in (0, 1)}
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(states=states)))))
    assert {cell.status for row in table.cells for cell in row if cell} == {"missing"}
    assert "no seeds yet" in caption_of(table)


def test_a_subject_that_failed_leaves_the_table_and_is_counted(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        if row["subject"] == "b":
            return row | {"value": math.nan, "status": "failed", "n_failed": 1, "reason": "1 scan"}
        return row | {"n_failed": 0 if row["subject"] else 1}

    table = invariance_table(Material(load_run(written(tmp_path, Embeds(change=change)))))
    cell = cells(table, "similarity:margin")["seqinv"]
    assert cell is not None
    assert (cell.n_subjects, cell.n_subjects_total, cell.status) == (2, 3, "ok")
    assert cell.mean == pytest.approx(0.61)
    assert "Incomplete: scans of ixi that could not be embedded: 1." in table.caption
    assert r"\[2/3\]" in (render_run(load_run(tmp_path), ["invariance"], "markdown") or "")


def test_what_is_not_measurable_is_na_with_its_reason(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        if row["measure"] == "decode:site":
            return row | {"value": math.nan, "chance": math.nan, "n_subjects": 0, "status": "not-measurable",
                          "reason": "T1w: one class only (Guys)"}  # fmt: skip
        if row["measure"] == "similarity:within" and row["subject"] == "c":
            return row | {
                "value": math.nan,
                "status": "not-measurable",
                "reason": "scans of one sequence only",
            }
        if row["measure"] == "decode:sequence":
            return row | {"reason": "left out: some"}
        return row

    run = load_run(written(tmp_path, Embeds(change=change)))
    table = invariance_table(Material(run))
    site, within = cells(table, "decode:site")["base"], cells(table, "similarity:within")["base"]
    assert site is not None
    assert within is not None
    assert math.isnan(site.mean)
    assert site.mark == "none"
    assert (within.n_subjects, within.n_subjects_total) == (2, 3)
    assert within.mean == pytest.approx((0.1 + 0.2 + 0.12 + 0.22) / 4)
    assert "decode:site on ixi: not measurable: T1w: one class only (Guys)." in table.caption
    assert (
        "similarity:within on ixi: not measurable for 1 subject: scans of one sequence only." in table.caption
    )
    assert "decode:sequence on ixi: left out: some." in table.caption
    assert "n/a" in (render_run(run, ["invariance"], "markdown") or "")
    assert ("ixi", "decode:site % ↓") in [
        column.header for column in table.columns
    ]  # no chance where it is not known


def test_a_seed_that_is_not_measurable_is_left_out_of_the_mean(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        if row["measure"] == "decode:site" and row["seed"] == 1:
            return row | {"value": math.nan, "status": "not-measurable", "reason": "all embeddings coincide"}
        return row

    frame = invariance_frame(load_run(written(tmp_path, Embeds(change=change))))
    row = frame[(frame["metric"] == "decode:site") & (frame["row"] == "base")].iloc[0]
    assert (row["mean"], row["n_seeds"]) == (pytest.approx(0.4), 1)


# Several plans


def test_the_newest_result_counts(tmp_path: Path) -> None:
    newer = Embeds(
        lambda method, measure, subject, seed: 0.9,
        methods=("base",),
        salt="b",
        written="2026-01-02T00:00:00+00:00",
    )
    run = load_run(written(tmp_path, Embeds(), newer))
    table = invariance_table(Material(run))
    assert cells(table, "similarity:margin")["base"].mean == pytest.approx(0.9)  # type: ignore[union-attr]
    assert "2 older results of the same cells are not shown; the newest are." in table.caption
    assert len(run.invariance) == 6 * (4 * 3 + 4)
    assert run.embeds["superseded"].sum() == 2


def test_a_newer_plan_that_is_not_done_does_not_hide_what_is(tmp_path: Path) -> None:
    states = {f"base/invariance/ixi/seed{seed}": "todo" for seed in (0, 1)}
    newer = Embeds(methods=("base",), salt="b", states=states)
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(), newer))))
    assert cells(table, "similarity:margin")["base"].status == "ok"  # type: ignore[union-attr]


def test_other_test_subjects_are_never_merged(tmp_path: Path) -> None:
    others = Embeds(methods=("base",), seeds=(2,), digest="0ther000", salt="b")
    table = invariance_table(Material(load_run(written(tmp_path, Embeds(), others))))
    cohorts = list(dict.fromkeys(column.header[0] for column in table.columns))
    assert cohorts == ["ixi [d1g3st]", "ixi [0ther0]"]
    assert cells(table, "similarity:margin", "ixi [d1g3st]")["base"].mean == pytest.approx(0.21)  # type: ignore[union-attr]
    second = cells(table, "similarity:margin", "ixi [0ther0]")
    assert second["base"].mean == pytest.approx(0.24)  # type: ignore[union-attr]
    assert second["seqinv"] is None
    assert "columns of their own, named by digest: ixi." in caption_of(table)


def test_profiles_have_rows_of_their_own(tmp_path: Path) -> None:
    Benchmark(no_score).write(tmp_path)
    Benchmark(no_score, profile="paper", salt="p", created="2026-01-02T00:00:00+00:00").write(
        tmp_path, "f" * 16
    )
    Embeds().add(tmp_path)
    Embeds(profile="paper").add(tmp_path, "f" * 16)
    rows = [row.header[0] for row in invariance_table(Material(load_run(tmp_path))).rows]
    assert sorted(rows) == sorted(f"{m} [{p}]" for m in METHODS for p in ("corrected", "paper"))


# Formats


def test_every_format(tmp_path: Path) -> None:
    run = load_run(written(tmp_path, Embeds(), tables=("leaderboard", "invariance")))
    markdown = render_run(run, ["invariance"], "markdown") or ""
    assert markdown.startswith("## synthetic: invariance of the embeddings")
    assert "**0.61 ± 0.06**" in markdown
    both = render_run(run, [], "markdown") or ""
    assert both.endswith(markdown)
    frame = pd.read_csv(io.StringIO(render_run(run, [], "csv") or ""))
    mine = frame[frame["table"] == "invariance"]
    assert len(mine) == 3 * len(MEASURES)
    assert set(mine["dataset"]) == {"ixi"}
    assert mine["task"].isna().all()
    row = mine[(mine["metric"] == "retrieval:cross-sequence") & (mine["row"] == "seqinv")].iloc[0]
    assert (row["mean"], row["chance"]) == (pytest.approx(0.61), pytest.approx(1 / 3))
    assert (row["n_seeds"], row["n_subjects"], row["mark"]) == (2, 3, "best")
    assert set(frame.loc[frame["table"] == "leaderboard", "dataset"]) == {"ixi"}
    content = json.loads(
        render_run(run, ["invariance"], "json") or "", parse_constant=lambda name: pytest.fail(name)
    )
    assert [cell["metric"] for cell in content["cells"][::3]] == list(MEASURES)
    assert content["cells"][-1]["higher_is_better"] is None
    console = Console(file=io.StringIO(), width=120, force_terminal=True)
    render_run(run, ["invariance"], "terminal", console)
    assert "invariance of the embeddings" in console.file.getvalue()  # type: ignore[attr-defined]


def test_saved_report(tmp_path: Path) -> None:
    run = load_run(written(tmp_path / "results", Embeds()))
    paths = save_report(run, ["invariance"], tmp_path / "report")
    assert {path.name for path in paths} >= {"invariance.md", "invariance.tex", "tables.html", "cells.csv"}
    with (tmp_path / "report" / "cells.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3 * len(MEASURES)


def test_invariance_rows_that_are_gone_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = load_run(written(tmp_path, Embeds()))
    path = tmp_path / "jobs" / run.embeds["key"].iloc[0] / "invariance.parquet"
    path.unlink()
    left = load_run(tmp_path)
    assert str(path) in caplog.text, "the job is named, and left out until it is run again"
    assert len(left.invariance) < len(run.invariance)


def test_the_leaderboard_does_not_see_embed_jobs(tmp_path: Path) -> None:
    without = render_run(load_run(written(tmp_path / "a")), ["leaderboard"], "markdown")
    with_embeds = render_run(load_run(written(tmp_path / "b", Embeds())), ["leaderboard"], "markdown")
    assert without == with_embeds
