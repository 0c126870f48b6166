"""docs/metrics.md is true: tables against registry and metrics, example against the checks."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from mribench_tasks.metrics import ENTRIES

from mribench.interfaces import Entry, Metric, SetMetric, TaskRef
from mribench.plugins import load_registry
from mribench.testing import check_entry

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
SHAPE, SPACING_MM = (6, 7, 8), (1.0, 2.0, 3.0)
DIAGONAL_MM = math.sqrt(6**2 + 14**2 + 24**2)


def rows(heading: str) -> dict[str, list[str]]:
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return {first.strip("`"): rest for first, *rest in cells}


MASKS, IMAGES = rows("Masks"), rows("Images")
SETS = rows("Whole sets")


def made(name: str) -> Any:
    (entry,) = [entry for entry in ENTRIES if entry.name == name]
    return entry.factory(entry.options())


def test_the_tables_have_every_metric_and_no_other():
    registered = [item.entry.name for item in load_registry() if item.entry.kind == "metric"]
    ours = [entry.name for entry in ENTRIES]
    assert len(ours) == len(set(ours)) == 21
    assert set(ours) <= set(registered)
    assert [*MASKS, *IMAGES, *SETS] == ours, "in the order of the plugin"


def test_entries_name_metrics_by_their_ids():
    for entry in ENTRIES:
        metric = entry.factory(entry.options())
        assert isinstance(metric, SetMetric if metric.id in SETS else Metric)
        assert metric.id == entry.name
        assert entry.kind == "metric"
        assert entry.summary
        assert metric.id in SETS or metric.on_empty


@pytest.mark.parametrize("name", [*MASKS, *IMAGES, *SETS])
def test_unit_and_direction(name):
    unit, better = {**MASKS, **IMAGES, **SETS}[name][:2]
    metric = made(name)
    assert metric.unit == unit
    assert {"↑": True, "↓": False}[better] is metric.higher_is_better


@pytest.mark.parametrize("name", SETS)
def test_what_sets_are_of_and_their_range(name):
    metric = made(name)
    assert metric.of == SETS[name][2]
    low, high = (float(bound.replace("∞", "inf")) for bound in SETS[name][3].split(" to "))
    assert metric.value_range == (low, high)


@pytest.mark.parametrize("name", MASKS)
def test_empty_masks(name):
    value, penalty = MASKS[name][2].split(" → ")
    assert MASKS[name][3] == "left out"
    full, empty = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
    metric = made(name)
    for pair, status in (((empty, full), "pred-empty"), ((full, empty), "ref-empty")):
        score = metric.score(*pair, SPACING_MM)
        assert score.status == status
        assert score.value == pytest.approx(float(value), nan_ok=True)
        assert score.penalty == pytest.approx(DIAGONAL_MM if penalty == "diagonal" else float(penalty))
    both = metric.score(empty, empty, SPACING_MM)
    assert both.status == "both-empty"
    assert math.isnan(both.value)
    assert math.isnan(both.penalty)


def test_every_reference_is_used_and_given():
    body, _, references = TEXT.partition("\n## References\n")
    used = {int(n) for group in re.findall(r"\[(\d[\d, ]*)\]", body) for n in group.split(",")}
    given = [int(n) for n in re.findall(r"^(\d+)\. .*doi:10\.", references, re.MULTILINE)]
    assert sorted(used) == given


def test_the_benchmark_lines_give_the_ids_of_the_text():
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    reference = TaskRef.model_validate(yaml.safe_load(block)["tasks"]["tissue"]["task"])
    task = load_registry().resolve(reference, "docs/metrics.md", "corrected").make()
    ids = [metric.id for metric in task.metrics]
    assert ids == ["dice", "hd95:max-directed", "assd", "nsd:1mm"]


def load_example(marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = re.search(rf"<!-- {marker} -->\n```python\n(.*?)```\n<!-- /{marker} -->", TEXT, re.DOTALL)
    assert found is not None
    assert len([line for line in found[1].splitlines() if line.strip()]) <= 30
    name = f"{marker.replace(' ', '_')}_plugin"
    path = tmp_path / f"{name}.py"
    path.write_text(found[1], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_the_example_is_short_and_conforms(tmp_path, monkeypatch):
    (entry,) = load_example("example", tmp_path, monkeypatch).mribench_entries()
    assert isinstance(entry, Entry)
    check_entry(entry)
    a, b = np.zeros((2, *SHAPE), dtype=bool)
    a[:4], b[2:6] = True, True
    assert entry.factory(entry.options()).score(a, b, SPACING_MM).value == pytest.approx(2 / 6)


def test_the_example_of_a_set_is_short_and_conforms(tmp_path, monkeypatch):
    (entry,) = load_example("set example", tmp_path, monkeypatch).mribench_entries()
    check_entry(entry)
    targets = np.arange(12.0)
    score = entry.factory(entry.options()).score_set(targets + 3, targets)
    assert score.value == pytest.approx(2 * targets.var() / (2 * targets.var() + 9))
