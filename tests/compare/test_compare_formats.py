"""All tables of a comparison that has every kind of row, in every format, written and read back."""

from __future__ import annotations

import html
import io
import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.cli.results import compare as command
from mribench.compare import TABLES, comparison_document, of_one
from mribench.report import FORMATS, load_run
from mribench.report.render.document import Document, save

SUBJECTS = ("IXI002", "IXI012", "IXI013", "IXI014")


def score(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
    """Scores with every status, and a task in which nothing is left to compare."""
    who = (cell["method"], cell["seed"], subject)
    if cell["task"] == "lesion" and cell["method"] == "base":
        return (math.nan, "failed", math.nan)
    if who == ("seqinv", 1, "IXI012") and label == "GM":
        return (math.nan, "pred-empty", 0.0 if metric == "dice" else 90.0)
    if subject == "IXI013" and label == "WM":
        return (math.nan, "both-empty", math.nan)
    if who == ("base", 0, "IXI014") and cell["fraction"] == 0.1:
        return (math.nan, "failed", math.nan)
    value = 0.5 + 0.01 * SUBJECTS.index(subject) + 0.02 * (cell["method"] == "seqinv")
    value += 0.01 * cell["seed"] * cell["subset_seed"] + 0.03 * (cell["test_site"] == "HH")
    return value if metric == "dice" else 40 * (1 - value)


BENCHMARK = Benchmark(
    score,
    tasks={
        "tissue": task([DICE, HD95], (0.1, 1.0), ("T1w", "T2w"), ("Guys", "HH")),
        "lesion": task([DICE]),
    },
    subset_seeds=(0, 1),
    subjects=SUBJECTS,
    transfer=True,
    overrides={"seqinv": ["pretrain.patch_vox"]},
    pretrained={f"seqinv/pretrain/seed{seed}": {"views_seen": 1920} for seed in (0, 1)},
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BENCHMARK.write(tmp_path_factory.mktemp("formats") / "synthetic")


@pytest.fixture(scope="module")
def document(results: Path) -> Document:
    return comparison_document(of_one(load_run(results), results, "seqinv", "base"))


@pytest.fixture(scope="module")
def cells(document: Document) -> pd.DataFrame:
    return document.cells()


def written(results: Path, name: str, folder: Path) -> Path:
    path = folder / f"out.{name}"
    words = [str(results), "seqinv", "base", "--format", name, "--output", str(path)]
    done = CliRunner().invoke(command, words)
    assert done.exception is None, done.exception
    return path


def kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "bool" if isinstance(value, bool) else "number"


def test_there_is_every_kind_of_row(cells: pd.DataFrame) -> None:
    assert tuple(dict.fromkeys(cells["table"])) == TABLES
    assert cells["n_pred_empty_first"].max() > 0
    assert cells["n_failed_second"].max() > 0
    assert cells["n_both_empty_first"].max() > 0
    assert {"nothing", "too few seeds"} <= set(cells["scope"].dropna())
    assert set(cells["setting"].dropna()) >= {"own settings", "budget: views seen"}
    assert set(cells["n_label_subsets"].dropna()) == {0, 2}, "none where nothing is left"


def test_a_column_holds_one_kind_of_value_over_all_tables(cells: pd.DataFrame) -> None:
    kinds = {name: {kind(v) for v in cells[name].dropna().tolist()} for name in cells.columns}
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}
    settings = cells[cells["table"] == "settings"].dropna(axis=1, how="all")
    assert list(settings.columns) == ["table", "stage", "setting", "setting_first", "setting_second"]
    subjects = cells[cells["table"] == "subjects"]
    assert pd.api.types.is_float_dtype(cells["first"])
    assert subjects["first"].notna().any()
    assert cells.loc[cells["table"] == "settings", "first"].isna().all()


def test_parquet_has_all_tables_as_they_were(results: Path, tmp_path: Path, cells: pd.DataFrame) -> None:
    read = pd.read_parquet(written(results, "parquet", tmp_path))
    pd.testing.assert_frame_equal(read, cells, check_dtype=False)
    schema = pa.parquet.read_schema(tmp_path / "out.parquet")
    assert json.loads(schema.metadata[b"mribench"])["comparison"] == "seqinv − base"
    assert pa.types.is_floating(schema.field("first").type)
    assert schema.field("setting_first").type in (pa.string(), pa.large_string())


def test_csv_has_all_tables_as_they_were(results: Path, tmp_path: Path, cells: pd.DataFrame) -> None:
    read = pd.read_csv(written(results, "csv", tmp_path))
    expected = pd.read_csv(io.StringIO(cells.to_csv(index=False)))
    pd.testing.assert_frame_equal(read, expected)
    pd.testing.assert_series_equal(read["difference"], cells["difference"])
    assert read["setting_first"].dropna().tolist() == cells["setting_first"].dropna().tolist()


def test_json_has_all_tables_as_they_were(results: Path, tmp_path: Path, cells: pd.DataFrame) -> None:
    content = json.loads(
        written(results, "json", tmp_path).read_text(), parse_constant=lambda name: pytest.fail(name)
    )
    rows = content["cells"]
    assert len(rows) == len(cells)
    for row, expected in zip(rows, cells.to_dict("records"), strict=True):
        for name, value in row.items():
            if value is None:
                assert pd.isna(expected[name]), name
            else:
                assert value == (pytest.approx(expected[name]) if kind(value) == "number" else expected[name])


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"csv", "parquet", "json"}))
def test_formats_to_read_show_all_tables(
    results: Path, tmp_path: Path, document: Document, name: str
) -> None:
    text = " ".join(html.unescape(written(results, name, tmp_path).read_text()).replace("\\", "").split())
    titles = [table.title for table in document.tables()]
    assert len(titles) > len(TABLES)
    for title in titles:
        plain = title.split(",")[0].split(":")[0].replace("100 %", "100")
        plain = plain.replace("−", "$-$") if name == "latex" else plain
        assert plain in text, title
    assert "these checkpoints" in text
    assert "own settings" in text


def test_all_formats_are_saved_at_once(document: Document, tmp_path: Path, cells: pd.DataFrame) -> None:
    paths = {path.name for path in save(document, tmp_path)}
    assert paths >= {"settings.md", "empty.tex", "tables.html", "cells.csv", "cells.parquet", "cells.json"}
    assert len(pd.read_parquet(tmp_path / "cells.parquet")) == len(cells)
