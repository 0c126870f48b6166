"""Every number of a comparison beside the same one computed directly from the scores."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.compare import comparison_document, of_one, paired
from mribench.compare.differences import compared
from mribench.compare.empty import counts
from mribench.compare.influence import HIDDEN, NO, RESTS, TURNS, influence
from mribench.compare.subjects import extremes, people
from mribench.compare.where import by_seed, by_sequence, by_site
from mribench.report import load_run
from mribench.results.cells import LEADERBOARD, cell_frame

SEEDS, SUBJECTS = (0, 1, 2, 3, 4), tuple(f"s{k:02d}" for k in range(8))
SEQUENCES, LABELS = ("T1w", "T2w"), ("GM", "WM")


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    method, seed = cell["method"], cell["seed"]
    if method == "identity":
        return 0.4 + 0.01 * noise(subject)
    value = 0.6 + 0.03 * noise(subject) + 0.01 * noise(method, seed)
    place = (cell["test_site"], cell["train_sequence"], cell["test_sequence"], cell["fraction"], label)
    value += 0.02 * noise(method, seed, subject, *place)
    if method == "seqinv":
        value += (
            0.04
            + (0.05 if cell["test_sequence"] == "T2w" else 0)
            - (0.03 if cell["test_site"] == "HH" else 0)
        )
    return value if metric == "dice" else 30 * (1 - value)


BENCHMARK = Benchmark(
    score,
    tasks={"tissue": task([DICE, HD95], (0.1, 1.0), SEQUENCES, ("Guys", "HH"))},
    seeds=SEEDS,
    subjects=SUBJECTS,
    references=("identity", "scratch"),
    transfer=True,
)

SMALL = replace(
    BENCHMARK,
    tasks={"tissue": task([DICE, HD95], (1.0,), SEQUENCES, ("Guys", "HH"))},
    references=(),
    transfer=False,
)


def pairs_of(benchmark: Benchmark, root: Path, first: str = "seqinv", second: str = "base"):
    benchmark.write(root)
    return paired(of_one(load_run(root), root, first, second))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory):
    return pairs_of(BENCHMARK, tmp_path_factory.mktemp("results"))


def cell(method: str, seed: int | None, trained: str, tested: str, site: str, fraction: float) -> Cell:
    training = {"seed": seed, "train_sequence": trained, "fraction": fraction}
    return {"method": method, "test_sequence": tested, "test_site": site} | training


def table(
    metric: str = "dice", site: str = "Guys", fraction: float = 1.0, pairs: tuple[tuple[str, str], ...] = ()
) -> np.ndarray:
    """Differences (seeds, subjects), straight from ``score``; by default both own sequences are averaged."""
    where = pairs or tuple((name, name) for name in SEQUENCES)

    def mean(method: str, seed: int, subject: str) -> float:
        return float(
            np.mean(
                [
                    np.mean(
                        [score(cell(method, seed, *pair, site, fraction), metric, subject, x) for x in LABELS]
                    )
                    for pair in where
                ]
            )
        )

    return np.array([[mean("seqinv", s, i) - mean("base", s, i) for i in SUBJECTS] for s in SEEDS])


def terms(x: np.ndarray) -> tuple[float, float, float, float, float]:
    """Variance terms of seed and subject, and mean squares of seed, subject, residual, written out."""
    s, n = x.shape
    rows, columns, mean = x.mean(1), x.mean(0), x.mean()
    ms_s = n * ((rows - mean) ** 2).sum() / (s - 1)
    ms_n = s * ((columns - mean) ** 2).sum() / (n - 1)
    ms_r = ((x - rows[:, None] - columns + mean) ** 2).sum() / ((s - 1) * (n - 1))
    return ms_s / (s * n), max(0.0, ms_n - ms_r) / (s * n), ms_s, ms_n, ms_r


def half(x: np.ndarray, level: float = 0.95) -> float:
    seed, subject, *_ = terms(x)
    q = [stats.t.ppf((1 + level) / 2, n - 1) for n in x.shape]
    return math.sqrt(q[0] ** 2 * seed + q[1] ** 2 * subject)


def p_of(x: np.ndarray) -> float:
    return float(
        1 - optimize.brentq(lambda level: half(x, level) - abs(x.mean()), 1e-9, 1 - 1e-12, xtol=1e-14)
    )


def test_the_difference_in_each_cell_of_the_leaderboard(found) -> None:
    rows = compared(found)
    places = [(row.place.where["fraction"], row.place.metric) for row in rows]
    assert places == [(f, m) for f in (0.1, 1.0) for m in ("dice", "hd95:max-directed")]
    tables = [table(metric, fraction=fraction) for fraction, metric in places]
    for row, x in zip(rows, tables, strict=True):
        assert row.found.difference == pytest.approx(x.mean(), abs=1e-12)
        assert row.found.low == pytest.approx(x.mean() - half(x), abs=1e-12)
        assert row.found.high == pytest.approx(x.mean() + half(x), abs=1e-12)
        assert row.found.p == pytest.approx(p_of(x), rel=1e-4)
        _, _, ms_s, ms_n, ms_r = terms(x)
        sd = math.sqrt(max(0, (ms_s - ms_r) / 8) + max(0, (ms_n - ms_r) / 5) + ms_r)
        assert row.found.d_z == pytest.approx(x.mean() / sd)
        assert row.found.p_above == pytest.approx((x > 0).mean())
        assert (row.found.n_seeds, row.found.n_subjects, row.found.n_missing_pairs) == (5, 8, 0)
    p = np.array([row.found.p for row in rows])
    order = np.argsort(p)
    expected = np.maximum.accumulate(p[order] * np.arange(4, 0, -1)).clip(max=1)
    assert np.array([row.p_adjusted for row in rows])[order] == pytest.approx(expected)


def test_p_better_knows_the_direction(found) -> None:
    dice, hd95 = compared(found, 1.0)
    assert dice.found.p_above == pytest.approx(1 - hd95.found.p_above)
    assert dice.p_better == hd95.p_better == pytest.approx((table() > 0).mean())
    assert dice.p_better > 0.9


def test_the_means_are_those_of_the_leaderboard(found) -> None:
    board = cell_frame(found.pair.first.run, LEADERBOARD).set_index(["row", "fraction", "metric"])["mean"]
    for row in compared(found):
        key = row.place.where["fraction"], row.place.metric
        assert row.means == pytest.approx((board["seqinv", *key], board["base", *key]))


def test_the_other_way_round_is_the_same_with_the_other_sign(found) -> None:
    run, directory = found.pair.first.run, found.pair.first.directory
    back = compared(paired(of_one(run, directory, "base", "seqinv")))
    for here, there in zip(compared(found), back, strict=True):
        assert here.found.difference == pytest.approx(-there.found.difference)
        assert (here.found.low, here.found.high) == pytest.approx((-there.found.high, -there.found.low))
        assert here.p_better == pytest.approx(1 - there.p_better)
        assert here.verdict == there.verdict


def test_a_row_that_nothing_was_trained_for_stands_at_every_seed(found) -> None:
    run, directory = found.pair.first.run, found.pair.first.directory
    rows = compared(paired(of_one(run, directory, "base", "identity")))
    assert len(rows) == 4
    x = np.array(
        [
            [
                np.mean(
                    [
                        score(cell("base", s, q, q, "Guys", 0.1), "dice", i, x)
                        for q in SEQUENCES
                        for x in LABELS
                    ]
                )
                - (0.4 + 0.01 * noise(i))
                for i in SUBJECTS
            ]
            for s in SEEDS
        ]
    )
    assert rows[0].found.difference == pytest.approx(x.mean())
    assert rows[0].found.high == pytest.approx(x.mean() + half(x))
    assert rows[0].found.n_seeds == 5


def test_by_sequence_and_against_the_sequence_trained_on(found) -> None:
    parts = {part.here: part for part in by_sequence(found, None) if part.place.metric == "dice"}
    assert list(parts) == ["T1w → T1w", "T1w → T2w", "T2w → T1w", "T2w → T2w"]
    for name, part in parts.items():
        x = table(pairs=(tuple(name.split(" → ")),))
        assert part.found.difference == pytest.approx(x.mean())
        assert part.found.low == pytest.approx(x.mean() - half(x))
    assert parts["T1w → T1w"].change.how == "reference"
    for here, reference in (
        ("T1w → T2w", "T1w → T1w"),
        ("T2w → T1w", "T2w → T2w"),
        ("T2w → T2w", "T1w → T1w"),
    ):
        x = table(pairs=(tuple(here.split(" → ")),)) - table(pairs=(tuple(reference.split(" → ")),))
        change = parts[here].change
        assert change.how == "same subjects"
        assert (change.change, change.low) == pytest.approx((x.mean(), x.mean() - half(x)))


def test_by_site_with_the_same_subjects(found) -> None:
    home, away = (part for part in by_site(found, 1.0) if part.place.metric == "dice")
    x = table(site="HH")
    assert (home.here, away.here) == ("Guys", "HH")
    assert away.found.difference == pytest.approx(x.mean())
    change = x - table()
    assert (away.change.change, away.change.how) == (pytest.approx(change.mean()), "same subjects")
    assert away.change.high == pytest.approx(change.mean() + half(change))


def test_by_site_with_other_subjects_only_seeds_are_paired(tmp_path: Path) -> None:
    here, away = SUBJECTS[:5], SUBJECTS[5:]

    def of_site(cell: Cell, metric: str, subject: str, label: str):
        mine = here if cell["test_site"] == "Guys" else away
        return score(cell, metric, subject, label) if subject in mine else (math.nan, "both-empty", math.nan)

    _, part = by_site(pairs_of(replace(SMALL, score=of_site), tmp_path), 1.0)[:2]
    a, b = table(site="HH")[:, 5:], table()[:, :5]
    assert part.change.how == "other subjects"
    assert part.change.change == pytest.approx(a.mean() - b.mean())
    by_seed = a.mean(1) - b.mean(1)
    var = [by_seed.var(ddof=1) / 5, terms(a)[1], terms(b)[1]]
    q = [stats.t.ppf(0.975, df) for df in (4, 2, 4)]
    width = math.sqrt(sum(v * t**2 for v, t in zip(var, q, strict=True)))
    assert part.change.high - part.change.change == pytest.approx(width)


def test_seed_by_seed(found) -> None:
    rows = by_seed(found)
    for row in rows:
        x = table(row.place.metric, fraction=row.place.where["fraction"])
        assert list(row.means) == list(SEEDS)
        assert list(row.means.values()) == pytest.approx(list(x.mean(1)))


def test_subjects_add_up_to_the_difference(found) -> None:
    dice, hd95 = people(found)
    assert dice.place.where["fraction"] == 1.0
    for one, metric in ((dice, "dice"), (hd95, "hd95:max-directed")):
        x = table(metric).mean(0)
        rows = one.rows.set_index("subject").loc[list(SUBJECTS)]
        assert rows["difference"].to_numpy() == pytest.approx(x)
        assert rows["share"].to_numpy() == pytest.approx(x / x.sum())
        assert rows["without"].to_numpy() == pytest.approx([np.delete(x, k).mean() for k in range(8)])
        assert (rows["first"] - rows["second"]).to_numpy() == pytest.approx(x)
        assert one.rows["difference"].is_monotonic_decreasing


def test_missing_pairs_are_counted_and_left_out_everywhere(tmp_path: Path) -> None:
    def failing(cell: Cell, metric: str, subject: str, label: str):
        gone = cell["method"] == "base" and cell["seed"] == 2 and subject == "s03"
        return (math.nan, "failed", math.nan) if gone else score(cell, metric, subject, label)

    states = {"seqinv/frozen/tissue/T2w/1/subset0/seed4/test/Guys/T2w": "failed"}
    found = pairs_of(replace(SMALL, score=failing, states=states), tmp_path)
    x = np.delete(
        np.delete(table(), 3, axis=1), 4, axis=0
    )  # without the subject; and the seed, half averaged
    row = compared(found, 1.0)[0]
    assert (row.found.n_seeds, row.found.n_subjects, row.found.n_missing_pairs) == (4, 7, 8 + 1)
    assert row.found.difference == pytest.approx(x.mean())
    assert row.means[0] - row.means[1] == pytest.approx(x.mean())
    assert row.verdict == "too few seeds to tell methods apart"
    assert list(by_seed(found)[0].means) == [0, 1, 2, 3]
    assert "s03" not in set(people(found)[0].rows["subject"])
    (caption,) = [
        text for text in comparison_document(found.pair, ["empty"]).tables()[0].caption if "jobs" in text
    ]
    assert caption == "seqinv: of 20 evaluate jobs 1 failed."


def test_empty_masks_that_make_the_difference(tmp_path: Path) -> None:
    def one_empty(cell: Cell, metric: str, subject: str, label: str):
        if metric != "dice" and cell["method"] == "base" and cell["seed"] == 1 and subject == "s02":
            return math.nan, "pred-empty", 200.0
        return 10.0 + (metric == "dice") * -9.5 + 0.01 * noise(subject, cell["seed"])

    found = pairs_of(replace(SMALL, score=one_empty), tmp_path)
    dice, hd95 = counts(found, 1.0)
    assert not dice.any
    assert (hd95.first["pred-empty"], hd95.second["pred-empty"], hd95.second["rows"]) == (0, 4, 160)
    assert hd95.found.difference == pytest.approx((10 + 0.01 * noise("s02", 1) - 200) / 40)
    assert hd95.without.difference == 0
    assert hd95.without.n_subjects == 7


# One subject


def test_a_subject_that_hides_or_turns_round_a_difference() -> None:
    names = list("abcdef")
    rests = np.array([[0.02, 0.021, -0.004, 0.022, 0.018, 0.02]] * 5)
    found = influence(rests, names)
    assert (found.subject, found.effect) == ("c", NO)
    assert (found.lowest, found.highest) == pytest.approx((0.075 / 5, 0.101 / 5))
    hidden = np.array([[1.0, 1.1, -6.0, 0.9, 1.0, 1.05]] * 5)
    found = influence(hidden, names)
    assert (found.subject, found.effect) == ("c", TURNS)
    assert found.without == pytest.approx(5.05 / 5)
    hidden[:, 2] = -2
    found = influence(hidden, names)
    assert (found.subject, found.effect) == ("c", HIDDEN)
    assert found.low > 0


def test_resting_on_one_subject_is_what_the_intervals_say() -> None:
    x = np.array([[0.0, 0.9, 1.0, 1.2, 1.1, 0.1]] * 5)
    assert x.mean() - half(x) > 0
    limits = [(y.mean() - half(y), k) for k in range(6) for y in [np.delete(x, k, axis=1)]]
    expected = {k for low, k in limits if low <= 0}
    found = influence(x, list("abcdef"))
    assert 3 in expected < set(range(6))
    assert found.effect == RESTS
    assert found.subject == "d", "of those, the one that moves the mean most"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_subjects_to_leave_one_out(n: int) -> None:
    found = influence(np.ones((5, n)), list("ab"[:n]))
    assert (found.subject, found.effect, len(found.means)) == ("", NO, n)


def test_the_subjects_shown_are_the_extremes_of_both_sides() -> None:
    rows = pd.DataFrame({"subject": list("abcdefghi"), "difference": [5, 4, 3, 2, 1, 0, -1, -2, -9]})
    assert list(extremes(rows)["subject"]) == ["a", "b", "c", "i", "h", "g"]
    assert extremes(rows.assign(difference=0)).empty
