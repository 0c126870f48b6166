"""The three sampling tables row by row, the rules of validity written out again, and their exact rates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from mribench_views import sampling
from mribench_views.options import DEFAULT_SEQUENCES
from mribench_views.sampling import Constant, LogUniform, Normal, TenToNormal, Uniform, WholeUniform
from mribench_views.sequence_base import MIN_CONTRAST
from scipy import integrate, stats
from support_physics import BLOCH, PROFILES, SEQUENCES, TISSUES, TYPICAL

Build = Callable[..., Any]
Draw = Mapping[str, float]

# As the design's table writes them: U uniform, U{…} whole, logU, N normal, 10^N; in s and degrees.
ROWS: Mapping[tuple[str, str], str] = {
    ("fse", "corrected"): "te_s logU(.005,.15); tr_s logU(.5,8)",
    ("fse", "paper"): "te_s logU(.001,3); tr_s logU(.001,3)",
    ("fse", "as-released"): "te_s logU(.02,.15); tr_s logU(2,8)",
    ("gre", "corrected"): "te_s logU(.002,.04); tr_s logU(.005,2); flip_angle_deg U(5,60)",
    ("gre", "paper"): "te_s logU(.002,.08); tr_s logU(.005,5); flip_angle_deg U(5,50)",
    ("gre", "as-released"): "te_s logU(.002,.08); tr_s logU(.005,5); flip_angle_deg U(5,50)",
    ("spgr", "corrected"): "te_s logU(.002,.04); tr_s logU(.005,2); flip_angle_deg U(5,60)",
    ("spgr", "paper"): "te_s logU(.002,.08); tr_s logU(.005,5); flip_angle_deg U(5,50)",
    ("spgr", "as-released"): "te_s logU(.002,.08); tr_s logU(.005,.8); flip_angle_deg U(5,50)",
    ("flair", "corrected"): "te_s logU(.02,.15); tr_s U(4,11); ti_s U(1.2,3)",
    ("flair", "paper"): "te_s logU(.02,.10); tr_s logU(.001,5); ti_s logU(.001,3)",
    ("flair", "as-released"): "te_s 10^N(.02,.1); tr_s logU(.001,5); ti_s logU(.001,3)",
    ("mprage", "corrected"): (
        "te_s U(.002,.004); tr_s U(1.8,2.6); ti_s U(.6,1.2); tx_s U(.005,.010); flip_angle_deg U(5,12);"
        "n_excitations U{100…200}; inversion_efficiency U(.8,1)"
    ),
    ("mprage", "paper"): (
        "te_s U(.002,.004); tr_s N(2.3,.23); ti_s U(.6,.9); tx_s U(.004,.008); flip_angle_deg U(5,12);"
        "n_excitations = 160; inversion_efficiency = .96"
    ),
    ("mprage", "as-released"): (
        "te_s U(.002,.004); tr_s U(1.9,2.5); ti_s U(.6,1.2); flip_angle_deg U(5,12);"
        "n_excitations U(100,200); inversion_efficiency U(.8,1)"
    ),
    ("mp2rage", "corrected"): (
        "tr_s U(4.5,8.25); ti1_s U(.6,1); ti2_s U(2.2,3.2); tx_s U(.005,.0075); flip_angle1_deg U(3,7);"
        "flip_angle2_deg U(3,7); n_excitations U{100…176}; inversion_efficiency U(.9,1)"
    ),
    ("mp2rage", "as-released"): (
        "tr_s N(2.3,.23); ti1_s U(.6,.9); ti2_s N(2.2,.22); tx_s 10^N(.0058,.5); te_s 10^N(.0029,.5);"
        "flip_angle1_deg U(3,6); flip_angle2_deg U(3,6); n_excitations N(160,16) truncated;"
        "inversion_efficiency N(.96,.096) reflected at 1"
    ),
}
_CELL = re.compile(r"(\w+) (=|logU|U|N|10\^N)\s?[({]?([\d.]+)(?:[,…]([\d.]+))?([)}]?)(.*)")


def parsed(row: str) -> dict[str, Any]:
    """The distributions that a row of the design's table names."""
    table: dict[str, Any] = {}
    for cell in row.split(";"):
        match = _CELL.fullmatch(cell.strip())
        assert match, cell
        name, kind, first, second, bracket, rest = match.groups()
        numbers = [float(text) for text in (first, second) if text]
        if bracket == "}":
            table[name] = WholeUniform(int(first), int(second))
        elif kind == "N":
            table[name] = Normal(
                *numbers, ceiling=1.0 if "reflected" in rest else math.inf, whole="truncated" in rest
            )
        else:
            table[name] = {"=": Constant, "U": Uniform, "logU": LogUniform, "10^N": TenToNormal}[kind](
                *numbers
            )
    return table


@pytest.mark.parametrize(("name", "profile"), ROWS)
def test_table_is_the_designs(name: str, profile: str) -> None:
    assert dict(sampling.TABLES[name][profile]) == parsed(ROWS[name, profile])  # type: ignore[index]


def test_every_table_is_in_the_design_but_papers_mp2rage_which_is_corrected() -> None:
    every = {(name, profile) for name in sampling.TABLES for profile in sampling.TABLES[name]}
    assert every - set(ROWS) == {("mp2rage", "paper")}
    assert sampling.TABLES["mp2rage"]["paper"] == sampling.TABLES["mp2rage"]["corrected"]
    assert set(ROWS) - every == set()


def test_sequences_of_each_profile() -> None:
    assert DEFAULT_SEQUENCES == {
        "corrected": ("fse", "gre", "flair", "mprage", "mp2rage"),
        "paper": ("fse", "gre", "flair", "mprage"),
        "as-released": SEQUENCES,
    }


def test_released_mprage_waits_twice_te_between_excitations(sequence: Build) -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(20):
        drawn = sequence("mprage", profile="as-released").draw(rng)
        assert drawn["tx_s"] == 2 * drawn["te_s"]


# Validity, written out again from the design's sentence


def impossible(name: str, p: Draw) -> bool:
    """TE < TR, TI < TR, TE < TX where there is a train, and no negative delay."""
    broken = p.get("te_s", 0.0) >= min(p["tr_s"], p.get("tx_s", math.inf))
    broken |= any(p.get(time, 0.0) >= p["tr_s"] for time in ("ti_s", "ti1_s", "ti2_s"))
    if name in ("mprage", "mp2rage"):
        half = p["n_excitations"] * p["tx_s"] / 2
        times = [0.0, p["ti_s"]] if name == "mprage" else [0.0, p["ti1_s"], p["ti2_s"]]
        ends = [0.0, *(time + half for time in times[1:])]
        starts = [*(time - half for time in times[1:]), p["tr_s"]]
        broken |= any(start - end < 0 for start, end in zip(starts, ends, strict=True))
    return broken


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", SEQUENCES)
def test_timing_rules(name: str, profile: str, sequence: Build) -> None:
    built = sequence(name, profile=profile)
    rng = torch.Generator().manual_seed(21)
    for _ in range(1000):
        drawn = built.draw(rng)
        assert bool(built.timing_problem(drawn)) == impossible(name, drawn), drawn
        assert built.invalid(drawn) == ("" if profile == "as-released" else built.problem(drawn))


@pytest.mark.parametrize(
    ("name", "changes", "possible"),
    [
        ("fse", {"te_s": 5.0}, False),
        ("gre", {"te_s": 0.03}, False),
        ("flair", {"te_s": 9.0}, False),
        ("flair", {"ti_s": 9.0}, False),
        ("mprage", {"te_s": 0.006}, False),
        ("mprage", {"tx_s": 0.25, "n_excitations": 4.0, "ti_s": 0.5}, True),  # no preparation delay at all
        ("mprage", {"tx_s": 0.25, "n_excitations": 4.0, "ti_s": 0.5, "tr_s": 1.0}, True),  # and no recovery
        ("mprage", {"tx_s": 0.25, "n_excitations": 4.0, "ti_s": 0.5, "tr_s": 0.99}, False),
        ("mp2rage", {"tx_s": 0.25, "n_excitations": 4.0, "ti1_s": 0.5, "ti2_s": 1.5, "tr_s": 2.0}, True),
        ("mp2rage", {"tx_s": 0.25, "n_excitations": 4.0, "ti1_s": 0.5, "ti2_s": 1.49, "tr_s": 2.0}, False),
        ("mp2rage", {"te_s": 0.006}, False),
        ("mp2rage", {"te_s": 0.0059}, True),
    ],
)
def test_limits_of_the_timing_rules(
    name: str, changes: dict[str, float], possible: bool, sequence: Build
) -> None:
    """A time as long as the one that it must fit in does not fit; a delay of nothing does."""
    problem = sequence(name).timing_problem({**TYPICAL[name], **changes})
    assert (problem == "") == possible, problem


def bloch_contrast(name: str, p: Draw) -> float:
    """The largest difference of grey matter, white matter and CSF, over the largest signal."""
    tissues = [TISSUES[tissue] for tissue in ("GM", "WM", "CSF")]
    levels = np.array([BLOCH[name](tissue, p, 1.0) for tissue in tissues])
    levels = levels + 0.5 if name == "mp2rage" else np.abs(levels) * [tissue["PD"] for tissue in tissues]
    return float(np.ptp(levels) / levels.max())


@pytest.mark.parametrize("profile", ["corrected", "paper"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_contrast_rule(name: str, profile: str, sequence: Build) -> None:
    assert MIN_CONTRAST == 0.05
    built = sequence(name, profile=profile)
    rng = torch.Generator().manual_seed(8)
    for _ in range(20 if name in ("mprage", "mp2rage") else 60):
        drawn = built.draw(rng)
        if not built.timing_problem(drawn):
            flat = bool(built.contrast_problem(drawn))
            assert flat == (bloch_contrast(name, drawn) < 0.05), drawn


# Exact rates


def rate(te: Any, ti: Any | None, tr: tuple[float, float]) -> float:
    """P(TR <= max(TE, TI)) for a TR that is uniform in its logarithm, by the trapezoidal rule."""
    at = np.linspace(math.log(tr[0]), math.log(tr[1]), 200_001)
    shorter = te.cdf(np.exp(at)) * (1.0 if ti is None else ti.cdf(np.exp(at)))
    return float(integrate.trapezoid(1 - shorter, at) / (at[-1] - at[0]))


RELEASED_TE = stats.lognorm(s=0.1 * math.log(10), scale=0.02)
EXACT = {
    ("flair", "as-released"): (0.536, lambda: rate(RELEASED_TE, stats.loguniform(0.001, 3), (0.001, 5))),
    ("gre", "as-released"): (0.15, lambda: rate(stats.loguniform(0.002, 0.08), None, (0.005, 5))),
    ("spgr", "as-released"): (0.205, lambda: rate(stats.loguniform(0.002, 0.08), None, (0.005, 0.8))),
    ("flair", "paper"): (
        0.58, lambda: rate(stats.loguniform(0.02, 0.1), stats.loguniform(0.001, 3), (0.001, 5)),
    ),
    ("fse", "paper"): (0.50, lambda: rate(stats.loguniform(0.001, 3), None, (0.001, 3))),
}  # fmt: skip
"""The design's figure for each, and the integral that it is."""
COUNT = 10_000


@pytest.mark.parametrize(("name", "profile"), EXACT)
def test_stated_rates_are_the_integrals_and_the_draws(name: str, profile: str, sequence: Build) -> None:
    stated, exact = EXACT[name, profile]
    expected = exact()
    assert expected == pytest.approx(stated, abs=0.005)
    built = sequence(name, profile=profile)
    rng = torch.Generator().manual_seed(4)
    found = sum(bool(built.timing_problem(built.draw(rng))) for _ in range(COUNT))
    assert stats.binomtest(found, COUNT, expected).pvalue > 1e-3


def test_released_flair_by_te_alone_and_mp2rage_by_its_delays(sequence: Build) -> None:
    """TR is uniform in its logarithm, so P(TE >= TR) = E[ln(TE / .001)] / ln 5000."""
    by_te = math.log(0.02 / 0.001) / math.log(5000)
    assert by_te == pytest.approx(0.352, abs=5e-4)
    rng = torch.Generator().manual_seed(5)
    flair = [sequence("flair", profile="as-released").draw(rng) for _ in range(COUNT)]
    late = sum(draw["te_s"] >= draw["tr_s"] for draw in flair)
    assert stats.binomtest(late, COUNT, by_te).pvalue > 1e-3

    mp2rage = [sequence("mp2rage", profile="as-released").draw(rng) for _ in range(COUNT)]
    relaxed = [{**draw, "te_s": 0.0} for draw in mp2rage]  # the delays and TI2 < TR, without TE < TX
    negative = sum(impossible("mp2rage", draw) for draw in relaxed) / COUNT
    assert negative == pytest.approx(0.81, abs=0.02)


def test_gre_rates_are_a_triangle_in_the_logarithms() -> None:
    """The stated 15 % and 20.5 % by hand: the triangle TE >= TR in a rectangle of ln TE and ln TR."""
    triangle = math.log(0.08 / 0.005) ** 2 / 2
    for high, stated in ((5.0, 0.15), (0.8, 0.205)):
        share = triangle / (math.log(0.08 / 0.002) * math.log(high / 0.005))
        assert share == pytest.approx(stated, abs=0.001)
        assert share == pytest.approx(rate(stats.loguniform(0.002, 0.08), None, (0.005, high)), abs=1e-6)
