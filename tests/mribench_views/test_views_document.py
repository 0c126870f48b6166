"""docs/views.md is true: the table of options, the released settings, the measured numbers, the example."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mribench_views.augmented import SOURCE_MARGIN
from mribench_views.generators import MprageViews
from mribench_views.options import ViewOptions

from mribench.augmentation import AugmentOptions, draw_augmentation, splines
from mribench.interfaces import ViewRequest
from mribench.registry import Registered, Registry
from mribench.testing import check_entry

DOCUMENT = Path(__file__).parents[2] / "docs/views.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def block(marker: str, language: str) -> str:
    """Return the block of code behind a comment."""
    assert TEXT.count(f"<!-- {marker} -->") == 1, marker
    after = TEXT.partition(f"<!-- {marker} -->\n")[2]
    assert after.startswith(f"```{language}\n"), marker
    return after.partition("\n")[2].partition("```")[0]


def option_rows() -> dict[str, list[str]]:
    table = TEXT.partition("<!-- options -->\n")[2].partition("<!-- /options -->")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {row[0].strip("`"): row[1:] for row in cells[2:]}


def test_table_has_every_option_in_the_models_order() -> None:
    assert list(option_rows()) == list(AugmentOptions.model_fields)


@pytest.mark.parametrize("name", AugmentOptions.model_fields)
def test_default_and_unit_of_an_option(name: str) -> None:
    default, unit, drawn = option_rows()[name]
    value = AugmentOptions.model_fields[name].default
    assert default == (" to ".join(map(str, value)) if isinstance(value, tuple) else str(value))
    expected = next((unit_of for suffix, unit_of in UNITS.items() if name.endswith(suffix)), None)
    assert unit == expected
    assert len(drawn) > 10


UNITS = {
    "_deg": "degrees", "_mm": "mm", "_probability": "probability", "shear": "ratio", "scale": "ratio",
    "bias_sd": "natural logarithm", "_kept": "share of Nyquist's frequency",
    "_sigma": "share of the window", "_cuboids": "count", "_edge": "share of the view's edge",
}  # fmt: skip
"""Unit of an option by the end of its name."""


def test_released_settings_are_options() -> None:
    written = yaml.safe_load(block("released: as-written", "yaml"))["defaults"]["augment"]
    assert list(written) == list(AugmentOptions.model_fields)  # nothing is left to a default
    AugmentOptions(**written)
    AugmentOptions(
        **{**written, **yaml.safe_load(block("released: growing cuboids", "yaml"))["defaults"]["augment"]}
    )


def test_inline_line_of_a_benchmark_file_is_valid() -> None:
    line = re.search(r"^    (method: .*)$", TEXT, re.MULTILINE)
    assert line is not None
    AugmentOptions(**yaml.safe_load(line[1])["method"]["views"]["augment"])


def test_numbers_about_all_generators() -> None:
    assert f"{SOURCE_MARGIN} times the patch" in TEXT
    assert f"percentiles {MprageViews.window_percentiles[0]} and {MprageViews.window_percentiles[1]}" in TEXT
    assert set(re.findall(r"`(augment|transmit_sd)`", TEXT)) <= set(ViewOptions.model_fields)


def test_receive_field_within_a_view_is_as_weak_as_stated() -> None:
    """0.73 of ``bias_sd`` in a view of 96 mm; 300 fields, each with a spread of 27 % of that: error 0.012."""
    stated = re.search(r"within a view of 96 mm (0\.\d+) of it", TEXT)
    assert stated is not None
    options = AugmentOptions(bias_probability=1.0, bias_sd=(1.0, 1.0))
    rngs = [torch.Generator().manual_seed(seed) for seed in range(300)]
    fields = [draw_augmentation(options, 24, (24,) * 3, 4.0, rng).log_receive for rng in rngs]
    field = splines.expand(torch.stack(fields), (24,) * 3, options.bias_spacing_mm / 4)
    assert field.flatten(1).std(dim=1).mean().item() == pytest.approx(float(stated[1]), abs=0.05)


def test_cuboids_of_the_defaults_cover_what_is_stated() -> None:
    stated = re.search(r"Cuboids are larger: (\d\.\d) % of the view", TEXT)
    assert stated is not None
    options = AugmentOptions(dropout_probability=1.0)
    shares, mask = [], np.zeros((96,) * 3, dtype=bool)
    for seed in range(500):
        mask[...] = False
        drawn = draw_augmentation(options, 96, (116,) * 3, 1.0, torch.Generator().manual_seed(seed))
        for box in drawn.cuboids_vox:
            mask[tuple(slice(*side) for side in box)] = True
        shares.append(np.count_nonzero(mask) / mask.size)
    error = np.std(shares) / math.sqrt(len(shares))
    assert abs(100 * np.mean(shares) - float(stated[1])) < 100 * 4 * error


# The example


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The generator of the document, as an imported plugin."""
    module = ModuleType("density_views")
    sys.modules[module.__name__] = module
    exec(compile(block("example", "python"), str(DOCUMENT), "exec"), module.__dict__)  # noqa: S102
    yield module
    del sys.modules[module.__name__]


def test_example_keeps_the_rules_of_a_view_generator(example: Any) -> None:
    registry = Registry()
    (entry,) = example.mribench_entries()
    registry.add(Registered(entry, "density", "density-views", "0"))
    check_entry(entry, profile="corrected", registry=registry)


def test_example_makes_any_number_of_views(example: Any) -> None:
    (entry,) = example.mribench_entries()
    generator = entry.factory(entry.options())
    wanted: dict[str, Any] = {}
    exec(compile(block("requests", "python"), str(DOCUMENT), "exec"), wanted)  # noqa: S102
    maps = {"PD": torch.rand(2, 24, 24, 24, generator=torch.Generator().manual_seed(0))}
    for requests, edges in (((ViewRequest(),), [16]), (wanted["view_requests"], [16, 16, 8, 8])):
        rngs = [torch.Generator().manual_seed(seed) for seed in range(2)]
        views = generator.views(maps, requests, 16, 1.0, rngs)
        assert [view.image.shape for view in views] == [(2, 1, edge, edge, edge) for edge in edges]
        assert [view.role for view in views] == [request.role for request in requests]
        for view in views:
            assert view.image.mean().abs() < 1e-5
