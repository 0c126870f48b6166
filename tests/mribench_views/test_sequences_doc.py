"""The tables and the prose of docs/sequences.md are true; for its example see test_sequences_example.py."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mribench_views.acquisition import TRANSMIT_SPACING_MM
from mribench_views.options import DEFAULT_SEQUENCES
from mribench_views.plugin import mribench_entries
from mribench_views.sampling import TABLES
from mribench_views.sequence_base import MIN_CONTRAST
from scipy import stats
from support_physics import PROFILES, SEQUENCES, TISSUES, TYPICAL, columns, tissue_maps
from test_views_signals import golden_cases

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/sequences.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    """What stands between a pair of comments."""
    return TEXT.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0]


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    folder = str(ROOT / "docs/figures")
    sys.path.insert(0, folder)
    yield {name: importlib.import_module(name) for name in ("redraw_rates", "sequence_ranges")}
    sys.path.remove(folder)


# The tables


def test_table_of_parameters_is_the_scripts(scripts: Mapping[str, ModuleType]) -> None:
    """Again: python docs/figures/sequence_ranges.py."""
    assert part("parameters") == scripts["sequence_ranges"].table()


def test_table_of_parameters_has_each_once_with_its_unit() -> None:
    rows = [line.strip("|").split("|") for line in part("parameters").splitlines()[2:]]
    found = [(cells[0].strip(), cells[1].strip(" `")) for cells in rows]
    drawn = {(name, key) for name in TABLES for profile in PROFILES for key in TABLES[name][profile]}
    assert len(found) == len(set(found))
    assert set(found) == drawn
    units = {cells[1].strip(" `"): cells[3].strip() for cells in rows}
    for key, unit in units.items():
        assert unit == ("s" if key.endswith("_s") else "degrees" if key.endswith("_deg") else "–"), key


def rates() -> dict[tuple[str, str], list[float]]:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part("redraw rates").splitlines()
    ]
    return {(row[0], row[1]): [float(cell.removesuffix(" %")) / 100 for cell in row[2:]] for row in rows[2:]}


def test_table_of_rates_has_every_sequence_and_profile(scripts: Mapping[str, ModuleType]) -> None:
    assert list(rates()) == list(itertools.product(SEQUENCES, PROFILES))
    assert f"{scripts['redraw_rates'].DRAWS:,}".replace(",", " ") in TEXT
    for by_time, by_contrast, together in rates().values():
        assert together == pytest.approx(by_time + by_contrast, abs=1.01e-4)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SEQUENCES)
def test_rates_are_what_the_script_finds(name: str, profile: str, scripts: Mapping[str, ModuleType]) -> None:
    """A smaller sample, by Fisher's exact test. Again: python docs/figures/redraw_rates.py."""
    script, draws = scripts["redraw_rates"], 400
    counts = script.rejected(name, profile, draws)
    for found, stated in zip((*counts, sum(counts)), rates()[name, profile], strict=True):
        written = round(stated * script.DRAWS)
        table = [[found, draws - found], [written, script.DRAWS - written]]
        assert stats.fisher_exact(table).pvalue > 1e-4, (found / draws, stated)


def test_rates_of_the_design_are_in_the_table() -> None:
    """Shares of the timing alone, as the design states them; the last from its own count of delays."""
    stated = {
        ("flair", "as-released"): 0.536, ("gre", "as-released"): 0.15, ("spgr", "as-released"): 0.205,
        ("flair", "paper"): 0.58, ("fse", "paper"): 0.50,
    }  # fmt: skip
    for key, rate in stated.items():
        assert rates()[key][0] == pytest.approx(rate, abs=0.015), key
    assert rates()["mp2rage", "as-released"][0] > 0.81
    assert "81 % have a negative delay" in TEXT


# The prose


def test_numbers_of_the_prose(sequence: Any, generator: Any, golden_dir: Path) -> None:
    text = " ".join(TEXT.split())
    assert sequence("fse").r2_over_r2s == 0.75
    assert "κ = 0.75 (`r2_over_r2s`)" in text
    assert sequence("fse", profile="as-released").r2_over_r2s == 1
    assert [generator("seqinv", profile).transmit_sd for profile in PROFILES] == [0.1, 0, 0]
    assert "standard deviation 0.1 in `corrected`, and absent in the other profiles" in text
    assert TRANSMIT_SPACING_MM == 80
    assert f"below {MIN_CONTRAST * 100:g} % of the largest signal" in text
    assert f"draws from {', '.join(DEFAULT_SEQUENCES['paper'])} in `paper`" in text
    assert set(DEFAULT_SEQUENCES["as-released"]) - set(DEFAULT_SEQUENCES["corrected"]) == {"spgr"}
    rows = next(rows for p, rows in golden_cases(golden_dir, "mprage") if p["tr_s"] == 2.3).set_index(
        "tissue"
    )
    for column, ratio in (("table4_signal", "1.08"), ("signal", "1.54")):
        assert f"{rows.loc['WM', column] / rows.loc['GM', column]:.2f}" == ratio
        assert ratio in text


def test_every_entry_is_listed_with_the_maps_it_reads(sequence: Any) -> None:
    rows = [line for line in TEXT.splitlines() if re.match(r"\| `\w+`.*\| .* \| .* \|", line)]
    table = {name: line for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    entries = [entry.name for entry in mribench_entries() if entry.kind == "sequence"]
    for name in entries:
        read = set(re.findall(r"PD|R1|R2\\\*|R2|MTsat", table[name].split("|")[-3]))
        used = {"R2\\*" if key == "R2s" else key for key in maps_read(sequence(name), name)}
        assert read == used, name


def maps_read(built: Any, name: str) -> set[str]:
    class Watched(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            seen.add(key)
            return super().__getitem__(key)

    seen: set[str] = set()
    built.signal(Watched(tissue_maps(*TISSUES)), columns(TYPICAL[name]))
    return seen


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
        for head in re.findall(r"^#+ (.+)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        assert not path or (ROOT / "docs" / path).is_file(), target
        assert not anchor or anchor in anchors, target
    for name in re.findall(r"`((?:tests|docs)/[\w/.]+)`|python (docs/[\w/.]+)", TEXT):
        assert (ROOT / "".join(name)).is_file(), name
