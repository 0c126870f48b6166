"""The sequence of docs/sequences.md, from the Markdown through a fresh registry to a view."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from scipy import stats
from support_physics import TISSUES, columns, pulse, tissue_maps, wait

from mribench.config import load_benchmark, resolve
from mribench.config.overrides import merge
from mribench.errors import ConfigError
from mribench.interfaces import SequenceRef, ViewRequest, ViewsRef
from mribench.plugins import GROUP, load_registry
from mribench.registry import Registry
from mribench.testing import check_entry

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/sequences.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """The block of code behind a comment."""
    assert TEXT.count(f"<!-- {marker} -->\n") == 1, marker
    after = TEXT.partition(f"<!-- {marker} -->\n")[2]
    assert after.startswith("```"), marker
    return after.partition("\n")[2].partition("\n```")[0] + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the example, importable."""
    folder = tmp_path_factory.mktemp("bssfp")
    for name in ("mribench_bssfp.py", "pyproject.toml"):
        (folder / name).write_text(block(name), encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("mribench_bssfp", None)


@pytest.fixture(scope="module")
def bssfp_registry(folder: Path) -> Registry:
    """A fresh registry: everything that is installed, and the example by its own entry point."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (point,) = project["entry-points"]["mribench"].items()
    found = load_registry([*importlib.metadata.entry_points(group=GROUP), EntryPoint(*point, GROUP)])
    assert found.problems == []
    return found


@pytest.fixture(scope="module")
def bssfp(bssfp_registry: Registry) -> Any:
    reference = SequenceRef.model_validate("bssfp")
    return bssfp_registry.resolve(reference, "test", "corrected").make()


def test_example_is_short_and_uses_public_names_only(folder: Path) -> None:
    text = block("mribench_bssfp.py")
    assert len(text.splitlines()) <= 60
    assert max(map(len, text.splitlines())) <= 110
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mribench"):
            assert node.module in ("mribench", "mribench.interfaces")
        assert not (isinstance(node, ast.Attribute) and node.attr.startswith("_"))


def test_example_conforms(bssfp_registry: Registry) -> None:
    check_entry(bssfp_registry.get("sequence", "bssfp"), registry=bssfp_registry)


def test_the_lines_of_the_check_run(folder: Path) -> None:
    exec(compile(block("check"), "docs/sequences.md", "exec"), {})  # noqa: S102 - the document's own block


def test_example_draws_in_its_ranges_and_refuses_bands(bssfp: Any) -> None:
    rng = torch.Generator().manual_seed(0)
    draws = [bssfp.draw(rng) for _ in range(500)]
    for draw in draws:
        assert 0.003 <= draw["tr_s"] <= 0.008
        assert 20 <= draw["flip_angle_deg"] <= 70
        assert draw["te_s"] == draw["tr_s"] / 2
        assert bool(bssfp.invalid(draw)) == (2 * draw["tr_s"] > 1 / 80)
    refused = sum(bool(bssfp.invalid(draw)) for draw in draws)
    assert stats.binomtest(refused, 500, (0.008 - 1 / 160) / 0.005).pvalue > 1e-3
    assert bssfp.invalid({"tr_s": 0.008}) == "bands at 62 Hz"


def pulses(tissue: Mapping[str, float], p: Mapping[str, float], transmit: float, count: int) -> float:
    """From equilibrium through ``2 count`` pulses of alternating phase; the echo after the last."""
    angle_deg = p["flip_angle_deg"] * transmit
    rest = wait(tissue, p["tr_s"], "R2")
    pair = rest @ pulse(angle_deg, 0) @ rest @ pulse(angle_deg, 180)
    magnetisation = np.linalg.matrix_power(pair, count) @ [0.0, 0.0, 1.0, 1.0]
    echo = wait(tissue, p["te_s"], "R2") @ pulse(angle_deg, 180) @ magnetisation
    return float(np.hypot(echo[0], echo[1]))


@pytest.mark.parametrize("seed", range(4))
def test_example_is_what_the_pulses_make(bssfp: Any, seed: int) -> None:
    p, transmit = bssfp.draw(torch.Generator().manual_seed(seed)), 1 + 0.1 * (seed - 1)
    expected = [TISSUES[name]["PD"] * pulses(TISSUES[name], p, transmit, 100_000) for name in TISSUES]
    field = torch.full((1, len(TISSUES), 1, 1), transmit, dtype=torch.float64)
    found = bssfp.signal(tissue_maps(*TISSUES), columns(p), 1.0, field).flatten()
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=0)
    rounded = bssfp.signal(
        tissue_maps(*TISSUES, dtype=torch.float32), columns(p, torch.float32), 1.0, field.float()
    )
    torch.testing.assert_close(rounded.flatten().double(), found, rtol=1e-4, atol=0)


def test_example_has_the_contrast_of_t2_over_t1(bssfp: Any) -> None:
    """TR → 0: S = PD sin α / (1 + cos α + (1 - cos α) T1/T2), most of all PD/2 for T1 = T2 at 90 degrees."""
    p = columns({"tr_s": 1e-6, "te_s": 5e-7, "flip_angle_deg": 50.0})
    maps = tissue_maps(*TISSUES)
    c = np.cos(np.deg2rad(50))
    expected = maps["PD"] * np.sqrt(1 - c**2) / (1 + c + (1 - c) * maps["R2"] / maps["R1"])
    torch.testing.assert_close(bssfp.signal(maps, p), expected, rtol=1e-4, atol=0)
    half = bssfp.signal({**maps, "R2": maps["R1"]}, columns({"tr_s": 1e-6, "te_s": 0, "flip_angle_deg": 90}))
    torch.testing.assert_close(half, maps["PD"] / 2, rtol=1e-4, atol=0)


def test_example_needs_no_r2_and_is_finite_in_air(bssfp: Any) -> None:
    maps = {key: torch.cat([value, 0 * value[:, :1]], 1) for key, value in tissue_maps(*TISSUES).items()}
    without = {key: value.clone().requires_grad_() for key, value in maps.items() if key != "R2"}
    p = columns(bssfp.draw(torch.Generator().manual_seed(1)))
    signal = bssfp.signal(without, p)
    torch.testing.assert_close(signal, bssfp.signal({**maps, "R2": 0.75 * maps["R2s"]}, p))
    assert signal[0, -1].item() == 0
    signal.sum().backward()
    assert all(torch.isfinite(value.grad).all() for value in without.values() if value.grad is not None)


# In use


def test_benchmark_block_resolves(bssfp_registry: Registry, tmp_path: Path) -> None:
    quickstart = yaml.safe_load((ROOT / "benchmarks/quickstart.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "bssfp.yaml"
    file.write_text(yaml.safe_dump(merge(quickstart, yaml.safe_load(block("benchmark")))), encoding="utf-8")
    resolve(load_benchmark(file), bssfp_registry)
    with pytest.raises(ConfigError, match="unknown sequence 'bssfp'"):
        resolve(load_benchmark(file), load_registry())


@pytest.mark.parametrize("method", ["with-bssfp", "short-tr"])
def test_seqinv_shows_it(method: str, bssfp_registry: Registry, head: Any, rngs: Any) -> None:
    given = yaml.safe_load(block("benchmark"))["methods"][method]["views"]
    built = bssfp_registry.resolve(ViewsRef.model_validate(given), "test", "corrected").make()
    maps = head(6, built.source_vox(12))
    views = built.views(maps, [ViewRequest(), ViewRequest()], 12, 4.0, rngs(6))
    for view in views:
        assert torch.isfinite(view.image).all()
        assert view.image.std() > 0.5
    shown = list(zip(views[0].sequences, views[1].sequences, strict=True))
    assert all(one != other for one, other in shown)
    assert any("bssfp" in pair for pair in shown)
    drawn = [p for view in views for p in view.parameters if p["sequence"] == "bssfp"]
    limit_s = 0.005 if method == "short-tr" else 1 / 160
    assert all(0.003 <= p["tr_s"] <= limit_s for p in drawn)
    if method == "short-tr":
        assert all(set(pair) == {"fse", "bssfp"} for pair in shown)
