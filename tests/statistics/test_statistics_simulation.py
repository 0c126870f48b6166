"""The simulation is of what the product computes, and its committed table keeps its promises."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_frames import groups_of, judge

from mribench.statistics import estimate_mean_and_se
from mribench.statistics.checkpoints import rank_signed_differences
from mribench.statistics.crossed import compute_mean_squares
from mribench.statistics.difference import estimate_table_difference
from mribench.statistics.failures import estimate_parts
from mribench.statistics.intervals import compute_half_width, estimate_interval, split_table_variance
from mribench.statistics.ranges import place_ends_over
from mribench.statistics.ties import adjust_holm

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "statistics_simulation.py"
PUBLISHED = REPOSITORY / "results" / "published"
FIELDS = [
    "block", "n_seeds", "n_subjects", "sd_seed", "sd_residual", "sd_interaction", "n_methods", "sd_subset",
]  # fmt: skip


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("statistics_simulation", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)  # it imports its neighbour, as when it is run
        yield module


@pytest.fixture(scope="module")
def scenarios(script: ModuleType) -> ModuleType:
    return importlib.import_module("statistics_scenarios")


@pytest.fixture(scope="module")
def of_scenarios() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "statistics-scenarios.csv")


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "statistics.csv")


def drawn(script: ModuleType, seeds: int, subjects: int, **more: float) -> np.ndarray:
    cell = script.Cell("grid", seeds, subjects, 1.0, 2.0, n_methods=4, **more)
    scores: np.ndarray = script.draw(cell, 6, np.random.default_rng([seeds, subjects]))
    return scores


SHAPES = [(1, 12), (2, 9), (3, 20), (5, 20), (10, 4)]


@pytest.mark.parametrize(("seeds", "subjects"), SHAPES)
def test_intervals_and_tests_are_the_products(script: ModuleType, seeds: int, subjects: int) -> None:
    scores = drawn(script, seeds, subjects)
    products = script.sums_of_products(scores)
    own = tuple(part[:, 0, 0] for part in products)
    pairs = tuple(script.of_pairs(part) for part in products)
    halves, apart = (script.thresholds(sums, seeds, subjects, 0.05) for sums in (own, pairs))
    for r, cube in enumerate(scores):
        found = estimate_interval(cube[0])
        half = compute_half_width(*split_table_variance(cube[0]))  # shown from three seeds on
        assert halves["banerjee"][r] == pytest.approx(float(half))
        assert seeds == 2 or half == pytest.approx(found.high - found.mean)
        mean, se, df = estimate_mean_and_se(cube[0])
        assert halves["truncated"][r] == pytest.approx(stats.t.interval(0.95, df, mean, se)[1] - mean)
        rows = cube[0].std(ddof=1) / np.sqrt(cube[0].size)
        assert halves["rows"][r] == pytest.approx(stats.norm.ppf(0.975) * rows)
        averaged = stats.ttest_1samp(cube[0].mean(axis=0), 0).confidence_interval(0.95)
        assert halves["seed-averaged"][r] == pytest.approx(averaged.high - mean)
        for place, (i, k) in enumerate(zip(*np.triu_indices(4, 1), strict=True)):
            pair = estimate_table_difference(cube[i] - cube[k])
            assert seeds == 2 or apart["banerjee"][r, place] == pytest.approx(pair.high - pair.difference)
            assert (abs(pair.difference) > apart["banerjee"][r, place]) == (pair.p < 0.05)


@pytest.mark.parametrize(("seeds", "subjects"), SHAPES[1:])
def test_the_other_rules_by_their_formulas(script: ModuleType, seeds: int, subjects: int) -> None:
    table = drawn(script, seeds, subjects, sd_interaction=0.5)
    table = table[:, 0] - table[:, 1]
    for one in table:
        a, b, e = compute_mean_squares(one)
        df = np.array([seeds - 1, subjects - 1, (seeds - 1) * (subjects - 1)], float)
        sums = tuple(np.array([ms * d]) for ms, d in zip((a, b, e), df, strict=True))
        found = script.thresholds(sums, seeds, subjects, 0.01)
        few, many, fewer, more = (a, b, df[0], df[1]) if seeds <= subjects else (b, a, df[1], df[0])
        rest = max(many - e, 0)
        freedom = (few + rest) ** 2 / (few**2 / fewer + (many**2 / more + e**2 / df[2]) * (rest > 0))
        expected = stats.t.isf(0.005, max(freedom, fewer)) * np.sqrt((few + rest) / one.size)
        assert found["satterthwaite"][0] == pytest.approx(expected)
        weighted = (few * stats.t.isf(0.005, fewer) + rest * stats.t.isf(0.005, more)) / (few + rest)
        assert found["cochran"][0] == pytest.approx(weighted * np.sqrt((few + rest) / one.size))
        if a + b - e > 0:
            freedom = (a + b - e) ** 2 / (a**2 / df[0] + b**2 / df[1] + e**2 / df[2])
            expected = stats.t.isf(0.005, freedom) * np.sqrt((a + b - e) / one.size)
            assert found["untruncated"][0] == pytest.approx(expected, rel=1e-6)


def test_wilcoxon_and_holm_are_the_products(script: ModuleType) -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0.2, 1, (8, 30))
    expected = [rank_signed_differences(row).p for row in differences]
    np.testing.assert_allclose(script.signed_rank_p(differences), expected)
    p = rng.uniform(0, 0.2, (8, 6))
    np.testing.assert_allclose(script.holm(p), [adjust_holm(row) for row in p])


def test_what_counts_as_a_familywise_error_is_a_separated_pair_of_the_product(script: ModuleType) -> None:
    cell = script.Cell("grid", 5, 20, 1.0, 2.0, n_methods=3)
    scores = script.draw(cell, 30, np.random.default_rng(2))
    scores[::2, 0] += np.linspace(0, 4, 15)[:, None, None]  # some that do differ
    counted = script._happened(cell, scores)["familywise banerjee"]
    families = [judge(groups_of(cube), higher_is_better=True) for cube in scores]
    np.testing.assert_array_equal(counted, [family.separated.any() for family in families])
    assert 2 < counted.sum() < 28
    lost = [set(family.marks) != {"best"} for family in families]
    assert not (np.array(lost) & ~counted).any(), (
        "a method loses its bold mark only where a pair is separated"
    )


def test_two_equal_methods_above_the_others_are_judged_by_the_product(script: ModuleType) -> None:
    cell = script.Cell("two best", 5, 20, 2.0, 2.0, n_methods=3)
    scores = script.draw(cell, 20, np.random.default_rng(3))
    scores[::2, 0] += 6
    counted = script._happened(cell, scores)["familywise banerjee"]
    scores[:, 2] -= script.FAR
    families = [judge(groups_of(cube), higher_is_better=True) for cube in scores]
    expected = [family.separated[0, 1] for family in families]
    np.testing.assert_array_equal(counted, expected)
    assert 2 < counted.sum() < 20


# The committed table


def test_the_table_has_the_whole_grid(script: ModuleType, published: pd.DataFrame) -> None:
    expected = pd.DataFrame([cell.__dict__ for cell in script.cells()])
    pd.testing.assert_frame_equal(published[FIELDS], expected[FIELDS], check_dtype=False)
    grid = published[published["block"] == "grid"]
    assert len(grid) == 5 * 3 * 3 * 2
    assert (published["repetitions"] >= 5000).all()


def test_at_five_and_ten_seeds_intervals_tests_and_marks_hold_what_they_say(
    script: ModuleType, published: pd.DataFrame
) -> None:
    enough = published[(published["n_seeds"] >= 5) & published["block"].ne(script.ONE_DRAW)]
    assert enough["coverage banerjee"].between(93, 97).all()
    assert (100 - enough["false positive banerjee"]).between(93, 97).all()  # the interval of the difference
    assert (enough["false positive banerjee"] <= 6).all()
    assert (enough["familywise banerjee"] <= 6).all()


def test_with_fewer_seeds_the_product_errs_on_the_safe_side(published: pd.DataFrame) -> None:
    few = published[published["n_seeds"].isin([2, 3])]
    assert (few["coverage banerjee"] >= 93.5).all()
    assert (few["false positive banerjee"] <= 6).all()


def test_the_naive_ways_are_as_wrong_as_the_documents_say(published: pd.DataFrame) -> None:
    grid = published[(published["block"] == "grid") & (published["n_subjects"] == 65)]
    cell = grid[(grid["n_seeds"] == 5) & (grid["sd_seed"] == 1) & (grid["sd_residual"] == 2)].iloc[0]
    assert cell["coverage rows"] == pytest.approx(57, abs=2)
    assert cell["coverage seed-averaged"] == pytest.approx(90, abs=1.5)
    noisy = grid[(grid["sd_seed"] == 1) & (grid["sd_residual"] == 3)]
    assert noisy["false positive wilcoxon"].between(45, 51).all()
    old = noisy.set_index("n_seeds")["false positive truncated"]
    assert old[2] == pytest.approx(12.5, abs=1.5)
    assert old[3] == pytest.approx(7, abs=1)
    assert (published["familywise truncated"] > 10).any()


def test_a_label_subset_of_each_seeds_own_holds_and_one_for_all_does_not(
    script: ModuleType, published: pd.DataFrame
) -> None:
    own, one = (published[published["block"].eq(name)] for name in (script.OWN_DRAWS, script.ONE_DRAW))
    assert own["sd_subset"].tolist() == one["sd_subset"].tolist() == [0.5, 0.5, 1, 1, 2, 2]
    for column in ("false positive banerjee", "familywise banerjee"):
        assert (own[column] <= 6).all()
    five = one[one["n_seeds"].eq(5)].set_index("sd_subset")["false positive banerjee"]
    assert five.tolist() == pytest.approx([12, 30, 55], abs=1)


def test_skew_scores_are_covered_and_failures_have_a_share(of_scenarios: pd.DataFrame) -> None:
    skew = of_scenarios[of_scenarios["block"].eq("skew")]
    assert len(skew) == 108
    assert (skew["coverage mribench"] >= 93).all()
    failing = skew[skew["failures"].gt(0)]
    assert (failing["coverage of the share"] >= 93).all()
    assert (failing["coverage equal halves"].min()) < 75, "what the interval of the mean with penalties held"
    assert (skew["no interval"] <= 1).all()


def test_a_row_that_lacks_scores_is_not_bold_and_the_others_keep_their_tests(
    of_scenarios: pd.DataFrame,
) -> None:
    rows = of_scenarios[of_scenarios["block"].eq("survivors")].set_index(["what", "n_seeds"])
    lacking = rows.drop(index="nothing", level="what")
    assert (lacking["lacking row bold"] == 0).all()
    assert (rows.loc["hardest subjects", "lacking row bold by own means"] > 90).all()
    assert (rows.loc[(slice(None), [5, 10]), "tested"] == 100).all()
    assert (rows["familywise"] <= 6).all()


def test_the_scenarios_are_of_the_product(scenarios: ModuleType) -> None:
    case = scenarios.Scenario("skew", "distance", 5, 30, shape=0.6, failures=0.05, sd_seed=0.1)
    values, failed, _, _ = scenarios.scores_of(case, 8, np.random.default_rng(4))
    assert failed.any()
    mean, half = scenarios.means_and_halves(values, ~failed.any(axis=1))
    for r, (table, empty) in enumerate(zip(values, failed, strict=True)):
        found = estimate_parts(table, empty.astype(float), scenarios.DISTANCE)
        expected = place_ends_over(mean[r], half[r], scenarios.DISTANCE, found.n_subjects_without)
        assert (found.without_low, found.without_high) == pytest.approx(expected)


def test_a_short_run_of_scenarios_agrees_with_the_table(
    scenarios: ModuleType, of_scenarios: pd.DataFrame
) -> None:
    places = [*range(0, 60, 12), *range(len(of_scenarios) - 9, len(of_scenarios), 4)]
    repetitions = 150
    found = scenarios.simulate([scenarios.scenarios()[place] for place in places], repetitions, seed=7)
    expected = of_scenarios.iloc[places].reset_index(drop=True)
    assert found["what"].tolist() == expected["what"].tolist()
    for column in of_scenarios.columns[of_scenarios.columns.get_loc("repetitions") + 1 :]:
        rate = (expected[column] / 100).clip(0.01, 0.99)
        sd = 100 * np.sqrt(rate * (1 - rate) * (1 / repetitions + 1 / expected["repetitions"]))
        far = ((found[column] - expected[column]).abs() / sd).dropna()
        assert (far < 4.5).all(), column


def test_the_document_is_of_the_table_and_names_its_command(
    script: ModuleType, published: pd.DataFrame, of_scenarios: pd.DataFrame
) -> None:
    text = (PUBLISHED / "statistics.md").read_text(encoding="utf-8")
    assert f"    {script.COMMAND}\n" in text
    assert text == script.document(published, of_scenarios)


def test_a_short_run_agrees_with_the_table(script: ModuleType, published: pd.DataFrame) -> None:
    repetitions = 1500
    wanted = [(place, cell) for place, cell in enumerate(script.cells()) if cell.n_subjects == 20]
    places = [place for place, cell in wanted if cell.block == "grid" and cell.sd_residual == 3][::2]
    places.append(next(place for place, cell in enumerate(script.cells()) if cell.block == "two best"))
    found = script.simulate([script.cells()[place] for place in places], repetitions, seed=99)
    expected = published.iloc[places].reset_index(drop=True)
    for column in [name for name in published if name not in (*FIELDS, "repetitions")]:
        rate = (expected[column] / 100).clip(0.005, 0.995)
        sd = 100 * np.sqrt(rate * (1 - rate) * (1 / repetitions + 1 / expected["repetitions"]))
        far = ((found[column] - expected[column]).abs() / sd).dropna()
        assert (far < 4.5).all(), column


def test_the_example_of_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (REPOSITORY / "docs" / "statistics.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(example, {})  # noqa: S102
    printed = capsys.readouterr().out
    assert "{'seqinv': 'best', 'seqaug': 'best', 'base': 'second'}" in printed


def test_the_document_quotes_the_table(published: pd.DataFrame) -> None:
    text = (REPOSITORY / "docs" / "statistics.md").read_text(encoding="utf-8")
    grid = published[published["block"] == "grid"]
    one = grid[(grid["n_subjects"] == 65) & (grid["sd_seed"] == 1) & (grid["sd_residual"] == 3)]
    for words, column in (
        ("coverage of the mean's interval, %", "coverage banerjee"),
        ("… of pooled rows", "coverage rows"),
        ("… of subjects, seeds averaged", "coverage seed-averaged"),
        ("false positives of the test, %", "false positive banerjee"),
        ("… of Wilcoxon over subjects", "false positive wilcoxon"),
        ("… of Satterthwaite's df and the SE of tables", "false positive truncated"),
        ("five equal methods: any pair separated, %", "familywise banerjee"),
        ("finds a true difference of 2 points, %", "power 2"),
    ):
        (found,) = re.findall(rf"^\| {re.escape(words)} \| (.*) \|$", text, flags=re.MULTILINE)
        np.testing.assert_allclose([float(x) for x in found.split(" | ")], one[column], atol=0.06)
    enough = published[published["n_seeds"] >= 5]
    rules = {
        "**per-term quantiles** (used)": "banerjee",
        "per-term quantiles, weighted mean (Cochran)": "cochran",
    }
    rules |= {"same variance, Satterthwaite's df, at least S-1": "satterthwaite"}
    rules |= {"nothing set to 0, Satterthwaite's df": "untruncated"}
    rules |= {"both set to 0 (the SE of tables), Satterthwaite's df": "truncated"}
    for words, rule in rules.items():
        (found,) = re.findall(rf"^\| {re.escape(words)} \| (.*) \|$", text, flags=re.MULTILINE)
        kinds = [("grid", kind) for kind in ("coverage", "false positive", "familywise")]
        expected = []
        for block, kind in [*kinds, ("interaction", "familywise")]:
            column = enough.loc[enough["block"] == block, f"{kind} {rule}"]
            expected += [column.min(), column.max()]
        quoted = [float(x) for part in found.split(" | ") for x in part.split("–")]
        np.testing.assert_allclose(quoted, expected, atol=0.06)


def test_the_document_quotes_the_scenarios(of_scenarios: pd.DataFrame) -> None:
    text = (REPOSITORY / "docs" / "statistics.md").read_text(encoding="utf-8")
    skew = of_scenarios[of_scenarios["block"].eq("skew")]
    rows = {
        "distance, log-normal, SD of the logarithm 0.9": ("distance", 0.9, 0),
        "distance, log-normal, SD of the logarithm 0.6, 2 % failures": ("distance", 0.6, 0.02),
        "share, beta-distributed around 0.97, 2 % failures": ("share", 0.97, 0.02),
    }
    for words, place in rows.items():
        (found,) = re.findall(rf"^\| {re.escape(words)} \| (.*) \|$", text, flags=re.MULTILINE)
        mine = skew[skew[["what", "shape", "failures"]].eq(list(place)).all(axis=1)]
        assert len(mine) == 12
        names = ["coverage mribench", "coverage equal halves"]
        expected = [end for name in names for end in (mine[name].min(), mine[name].max())]
        quoted = [float(x) for part in found.split(" | ")[:2] for x in part.split("–")]
        np.testing.assert_allclose(quoted, expected, atol=0.06)


def test_the_first_cells_come_out_the_same_again(script: ModuleType, published: pd.DataFrame) -> None:
    found = script.simulate(script.cells()[:2], int(published["repetitions"][0]))
    rates = [name for name in found if name not in (*FIELDS, "repetitions")]
    np.testing.assert_allclose(found[rates], published[rates].iloc[:2], atol=0.011)  # two draws of 20 000


def test_help_has_an_example(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["statistics_simulation.py", "--help"])
    with pytest.raises(SystemExit):
        script.main()
    assert "Example:\n    python benchmarks/statistics_simulation.py" in capsys.readouterr().out
