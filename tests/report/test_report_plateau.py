"""The script that says whether adaptations are long enough, on scores whose doubling is known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from report_tables import material_of
from synthetic_results import Benchmark, Cell
from test_report_power import noise

from mribench.report import load_run

SUBJECTS = tuple(f"s{place:02}" for place in range(6))


def once(cell: Cell, metric: str, subject: str, label: str) -> float:
    return 0.5 + noise(0.05, subject)


def twice(cell: Cell, metric: str, subject: str, label: str) -> float:
    return once(cell, metric, subject, label) + 0.1 * (cell["method"] == "scratch")


def test_a_row_that_still_rises_has_no_plateau(repository: Path, tmp_path: Path) -> None:
    path = repository / "benchmarks" / "perf" / "plateau.py"
    spec = importlib.util.spec_from_file_location("plateau", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    runs = [
        Benchmark(score, methods=("base",), references=("scratch", "identity"), subjects=SUBJECTS).write(
            tmp_path / score.__name__
        )
        for score in (once, twice)
    ]
    table = script.compare(*(script.scaled_cells(material_of(load_run(run))) for run in runs))
    found = table.set_index("row")
    assert found["difference"].to_dict() == pytest.approx({"base": 0, "scratch": 10}, abs=1e-9)
    assert found["plateau"].to_dict() == {"base": True, "scratch": False}, "nothing is trained for identity"
    text = script.to_markdown(table)
    assert "+10.0 | **no** |" in text
    assert "1 of 2 cells change by at most one SE." in text
    file = repository / "tests" / "benchmarks" / "tiny.yaml"
    assert script.double_steps(file, ("tasks.tissue.adapt.steps=7",)) == [
        "tasks.tissue.adapt.steps=14",
        "tasks.denoise.adapt.steps=4",
    ]
