"""What stands beside the test about methods: Wilcoxon's over subjects, and the spread over label subsets."""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from synthetic_results import DICE, HD95, Benchmark, Cell, task

from mribench.compare import Paired, comparison_document, of_one, of_two, paired
from mribench.compare.differences import Compared, compared
from mribench.compare.text import scope_text
from mribench.errors import MRIBenchError
from mribench.report import load_run, render
from mribench.statistics.difference import estimate_table_difference

SUBJECTS = tuple(f"s{k}" for k in range(9))
SEEDS, SUBSETS = (0, 1, 2), (0, 1, 4)


def noise(*key: object) -> float:
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def value(method: str, seed: int, subset: int, subject: str, fraction: float) -> float:
    """A score with an effect of the subset, and of the method under it."""
    found = 0.6 + 0.05 * noise(subject) + 0.02 * noise("subset", subset, fraction)
    found += 0.01 * noise(method, seed) + 0.005 * noise(method, seed, subset, subject, fraction)
    return found + (method == "seqinv") * (0.02 + 0.04 * noise("of seqinv", subset, fraction))


def score(cell: Cell, metric: str, subject: str, label: str) -> float:
    subset = 0 if cell["subset_seed"] is None else cell["subset_seed"]
    found = value(cell["method"], cell["seed"] or 0, subset, subject, cell["fraction"] or 0.0)
    return found if metric == "dice" else 30 * (1 - found)


BENCHMARK = Benchmark(
    score,
    tasks={"tissue": task([DICE, HD95], (0.1, 1.0))},
    seeds=SEEDS,
    subset_seeds=SUBSETS,
    subjects=SUBJECTS,
    references=("identity",),
)


def pairs_of(benchmark: Benchmark, root: Path, second: str = "base") -> Paired:
    benchmark.write(root)
    return paired(of_one(load_run(root), root, "seqinv", second))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Paired:
    return pairs_of(BENCHMARK, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def rows(found: Paired) -> list[Compared]:
    return compared(found)


def cube(fraction: float) -> np.ndarray:
    """The differences in Dice, subsets × seeds × subjects, without reading anything."""
    return np.array(
        [
            [
                [
                    value("seqinv", s, u, who, fraction) - value("base", s, u, who, fraction)
                    for who in SUBJECTS
                ]
                for s in SEEDS
            ]
            for u in SUBSETS
        ]
    )


# Wilcoxon's test


def test_the_test_of_the_checkpoints_is_scipys(rows: list[Compared]) -> None:
    for row in rows:
        sign, scale = (1, 1) if row.place.metric == "dice" else (-1, 30)
        by_subject = sign * scale * cube(row.place.where["fraction"]).mean(axis=(0, 1))
        expected = stats.wilcoxon(by_subject, method="exact")
        assert row.checkpoints.p == pytest.approx(expected.pvalue)
        assert row.checkpoints.statistic == expected.statistic
        assert np.sign(row.checkpoints.rank_biserial) == np.sign(row.found.difference)
        assert (row.checkpoints.n, row.checkpoints.n_zero) == (9, 0)
    adjusted = multipletests([row.checkpoints.p for row in rows], method="holm")[1]
    assert [row.p_checkpoints for row in rows] == pytest.approx(list(adjusted))


def test_it_stands_beside_the_test_about_methods(found: Paired, rows: list[Compared]) -> None:
    (table,) = comparison_document(found.pair, ["difference"]).tables()
    headers = [column.header for column in table.columns]
    place = headers.index(("p, these", "checkpoints"))
    assert headers[place - 1] == ("p", "(Holm)")
    assert [cells[place].text for cells in table.cells] == [f"{row.p_checkpoints:.3f}" for row in rows]
    (said,) = [text for text in table.caption if text.startswith("p, these checkpoints: ")]
    assert "These checkpoints only" in said
    assert "not the methods" in said
    assert "no verdict follows it" in said
    markdown = str(render(comparison_document(found.pair, ["difference"]), "markdown"))
    assert "p, these" in markdown
    assert said in markdown


def test_the_tidy_rows_have_it(found: Paired, rows: list[Compared]) -> None:
    cells = comparison_document(found.pair, ["difference"]).cells()
    assert cells["checkpoints_p"].tolist() == [row.checkpoints.p for row in rows]
    assert cells["checkpoints_p_adjusted"].tolist() == [row.p_checkpoints for row in rows]
    assert cells["checkpoints_rank_biserial"].tolist() == [row.checkpoints.rank_biserial for row in rows]
    assert set(cells["checkpoints_how"]) == {"exact"}
    assert cells["n_checkpoints_zero"].tolist() == [0] * 4


def test_no_verdict_follows_it(tmp_path: Path) -> None:
    """Lucky seeds of equal methods: every subject agrees, the seeds do not."""

    def lucky(cell: Cell, metric: str, subject: str, label: str) -> float:
        luck = {0: 0.10, 1: -0.03, 2: 0.04, 3: -0.02, 4: 0.0}[cell["seed"]]
        return 0.6 + luck * (cell["method"] == "seqinv") + 1e-3 * noise(cell["method"], cell["seed"], subject)

    equal = replace(
        BENCHMARK, score=lucky, seeds=(0, 1, 2, 3, 4), subset_seeds=(0,), references=(),
        tasks={"tissue": task([DICE])},
    )  # fmt: skip
    (row,) = compared(pairs_of(equal, tmp_path))
    assert row.p_checkpoints < 0.01
    assert row.p_adjusted > 0.3
    assert row.verdict == "no difference shown"


def test_without_anything_to_compare_it_has_no_p(tmp_path: Path) -> None:
    (row, _) = compared(
        pairs_of(replace(BENCHMARK, subjects=("s0",), tasks={"t": task([DICE, HD95])}), tmp_path)
    )
    assert row.verdict == "nothing to compare"
    assert math.isnan(row.p_checkpoints)


def test_equal_scores_are_no_difference(tmp_path: Path) -> None:
    same = replace(BENCHMARK, score=lambda *_: 0.5, tasks={"t": task([DICE])}, references=())
    (row,) = compared(pairs_of(same, tmp_path))
    assert (row.checkpoints.p, row.checkpoints.n_zero, row.p_checkpoints) == (1.0, 9, 1.0)
    assert row.subsets is not None
    assert row.subsets.subset == 0


# Label subsets


def subset_variance(differences: np.ndarray) -> float:
    """The component of the first factor, from mean squares by loops, every factor random."""
    u, s, n = differences.shape
    grand = differences.mean()
    over = {axes: differences.mean(axis=axes) for axes in ((1, 2), (2,), (1,), (0, 2), (0, 1), (0,))}
    square = sum((over[1, 2][a] - grand) ** 2 for a in range(u)) * s * n / (u - 1)
    with_seed = sum(
        (over[2,][a, b] - over[1, 2][a] - over[0, 2][b] + grand) ** 2
        for a, b in itertools.product(range(u), range(s))
    ) * n / ((u - 1) * (s - 1))  # fmt: skip
    with_subject = sum(
        (over[1,][a, c] - over[1, 2][a] - over[0, 1][c] + grand) ** 2
        for a, c in itertools.product(range(u), range(n))
    ) * s / ((u - 1) * (n - 1))  # fmt: skip
    rest = sum(
        (
            differences[a, b, c] - over[2,][a, b] - over[1,][a, c] - over[0,][b, c]
            + over[1, 2][a] + over[0, 2][b] + over[0, 1][c] - grand
        ) ** 2
        for a, b, c in itertools.product(range(u), range(s), range(n))
    ) / ((u - 1) * (s - 1) * (n - 1))  # fmt: skip
    return max(0.0, float(square - with_seed - with_subject + rest) / (s * n))


def test_the_spread_over_label_subsets_is_that_of_the_differences(rows: list[Compared]) -> None:
    for row in rows:
        assert row.subsets is not None
        differences = cube(row.place.where["fraction"])
        scale = 1 if row.place.metric == "dice" else 30**2
        assert row.subsets.subset == pytest.approx(scale * subset_variance(differences))
        assert row.subsets.subset > 0
        assert (row.subsets.n_subsets, row.subsets.n_seeds, row.subsets.n_subjects) == (3, 3, 9)
        assert abs(row.found.difference) == pytest.approx(math.sqrt(scale) * abs(differences.mean()))
        assert row.subsets.se > row.found.se, "new subsets come on top"


def test_the_table_shows_the_spread_and_says_what_lacks_it(found: Paired, rows: list[Compared]) -> None:
    document = comparison_document(found.pair, ["difference"])
    (table,) = document.tables()
    assert table.columns[-1].header == ("SD over", "label subsets")
    shown = [math.sqrt(row.subsets.subset) for row in rows if row.subsets]
    assert [cells[-1].mean for cells in table.cells] == pytest.approx(shown)
    (said,) = [text for text in table.caption if "label subsets" in text]
    assert said.startswith(
        "Averaged over 3 label subsets, whose spread is not in the interval and not in p. SD"
    )
    cells = document.cells()
    assert cells["label_subset_sd"].tolist() == pytest.approx(shown)
    assert cells["n_label_subsets"].tolist() == [3] * 4
    assert cells["se_new_label_subsets"].tolist() == [row.subsets.se for row in rows if row.subsets]


def test_one_label_subset_has_no_spread_and_no_column(tmp_path: Path) -> None:
    found = pairs_of(replace(BENCHMARK, subset_seeds=(4,)), tmp_path)
    document = comparison_document(found.pair, ["difference"])
    (table,) = document.tables()
    assert not [column for column in table.columns if "label subsets" in column.header]
    assert not [text for text in table.caption if "label subsets" in text]
    assert all(row.subsets is None for row in compared(found))
    cells = document.cells()
    assert cells["n_label_subsets"].tolist() == [1] * 4
    assert cells["label_subset_sd"].isna().all()


def test_a_draw_of_each_seeds_own_is_in_the_spread_over_seeds(tmp_path: Path) -> None:
    """As with one fixed draw but for the caption: a seed stands with its own subjects on both sides."""
    paired_ = pairs_of(replace(BENCHMARK, subset_seeds=(None,)), tmp_path)
    found = compared(paired_)
    assert [(row.found.n_seeds, row.found.n_missing_pairs) for row in found] == [(3, 0)] * 4
    assert all(row.subsets is None for row in found)
    caption = " ".join(comparison_document(paired_.pair, ["difference"]).tables()[0].caption)
    assert "Label subsets: each train seed has its own draw" in caption
    fixed = pairs_of(replace(BENCHMARK, subset_seeds=(4,)), tmp_path / "fixed")
    caption = " ".join(comparison_document(fixed.pair, ["difference"]).tables()[0].caption)
    assert "Label subsets: one draw, so given these n subjects (n=2)" in caption


def test_own_and_fixed_draws_share_only_cells_with_all_subjects(tmp_path: Path) -> None:
    small = replace(BENCHMARK, tasks={"tissue": task([DICE], (0.1,))})
    own = replace(small, subset_seeds=(None,)).write(tmp_path / "own")
    fixed = replace(small, subset_seeds=(0,)).write(tmp_path / "fixed")
    pair = of_two([load_run(own), load_run(fixed)], [own, fixed], ["seqinv"])
    with pytest.raises(MRIBenchError, match="share no cell") as caught:
        paired(pair)
    assert "label subsets: each train seed's own draw; and subset seed 0" in caught.value.hint


def test_one_seed_has_no_components_of_its_subsets(tmp_path: Path) -> None:
    found = pairs_of(replace(BENCHMARK, seeds=(0,)), tmp_path)
    (table,) = comparison_document(found.pair, ["difference"]).tables()
    assert {cells[-1].text for cells in table.cells} == {"n/a"}


def test_what_nothing_was_trained_for_stands_in_every_subset(tmp_path: Path) -> None:
    rows = compared(pairs_of(BENCHMARK, tmp_path, "identity"))
    assert len(rows) == 4
    for row in rows:
        scale = 1 if row.place.metric == "dice" else -30
        fraction = row.place.where["fraction"]
        differences = np.array(
            [
                [
                    [
                        value("seqinv", s, u, who, fraction) - value("identity", 0, 0, who, 0.0)
                        for who in SUBJECTS
                    ]
                    for s in SEEDS
                ]
                for u in SUBSETS
            ]
        )
        assert row.found.difference == pytest.approx(scale * differences.mean())
        assert row.subsets is not None
        assert row.subsets.subset == pytest.approx(scale**2 * subset_variance(differences))


# What seeds allow to say


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((), "Nothing to compare."),
        ((0,), "Nothing to compare."),
        ((1, 0), "One seed: valid for these checkpoints only."),
        ((3, 0), "3 seeds: too few seeds to tell methods apart (5 are needed)."),
        ((5, 6, 0), "5 seeds: about the methods, not only these checkpoints."),
        (
            (1, 6),
            (
                "1 to 6 seeds, by row: those with fewer than 5 do not speak of methods, those with one only"
                " of these checkpoints."
            ),
        ),
    ],
)
def test_the_seeds_of_several_rows_in_words(seeds: tuple[int, ...], said: str) -> None:
    rng = np.random.default_rng(0)
    assert scope_text([estimate_table_difference(rng.normal(size=(n, 4))) for n in seeds]) == said


def test_components_are_of_pairs_that_both_have(tmp_path: Path) -> None:
    """A failure under one subset leaves its subject out, as in the difference."""

    def failing(cell: Cell, metric: str, subject: str, label: str) -> float | tuple[float, str, float]:
        if (cell["method"], cell["seed"], cell["subset_seed"], subject) == ("base", 1, 4, "s3"):
            return (math.nan, "failed", math.nan)
        return score(cell, metric, subject, label)

    rows = compared(pairs_of(replace(BENCHMARK, score=failing), tmp_path))
    expected = subset_variance(np.delete(cube(0.1), 3, axis=2))
    assert rows[0].subsets is not None
    assert rows[0].subsets.subset == pytest.approx(expected)
    assert (rows[0].subsets.n_subjects, rows[0].found.n_subjects) == (8, 8)
