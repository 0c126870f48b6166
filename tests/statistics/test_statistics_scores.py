from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mribench.interfaces import EmptyMaskPolicy
from mribench.statistics import average_subjects, estimate_groups, estimate_mean_and_se, mark
from mribench.statistics.scores import count_values

NAN = math.nan
DROPPED = EmptyMaskPolicy("dropped", "mm")
FIXED = EmptyMaskPolicy("256mm", "mm", prediction=256.0)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    usual = {"method": "m", "seed": 0.0, "subject": "a", "session": "", "label": "L", "status": "ok"}
    return pd.DataFrame([{**usual, "train_sequence": "T1w", "subset_seed": 0.0, **row} for row in rows])


def test_labels_are_averaged_before_sessions_and_sessions_before_subjects() -> None:
    rows = [
        {"subject": "a", "session": "1", "label": "GM", "penalty": 0.2},
        {"subject": "a", "session": "1", "label": "WM", "penalty": 0.4},
        {"subject": "a", "session": "2", "label": "GM", "penalty": 0.9},  # one label only
        {"subject": "b", "session": "1", "label": "GM", "penalty": 1.0},
    ]
    means = average_subjects(frame(rows), ["method"])
    assert means.set_index("subject")["value"].to_dict() == pytest.approx({"a": 0.6, "b": 1.0})
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    assert found["mean"] == pytest.approx(0.8)
    assert found["se"] == pytest.approx(0.2)
    assert (found["n_subjects"], found["n_seeds"], found["n_rows"]) == (2, 1, 4)


def test_within_columns_weigh_the_same_whatever_their_number_of_sessions() -> None:
    rows = [
        {"train_sequence": "T1w", "session": "1", "penalty": 0.0},
        {"train_sequence": "T1w", "session": "2", "penalty": 0.0},
        {"train_sequence": "T2w", "session": "1", "penalty": 1.0},
    ]
    pooled = average_subjects(frame(rows), ["method"], within=["train_sequence"])
    assert pooled["value"].tolist() == [0.5]
    apart = estimate_groups(frame(rows), ["method", "train_sequence"])
    assert apart.set_index("train_sequence")["mean"].to_dict() == {"T1w": 0.0, "T2w": 1.0}


def test_the_penalty_counts_and_both_empty_is_left_out() -> None:
    rows = [
        {"subject": "a", "status": "pred-empty", "value": NAN, "penalty": 40.0},
        {"subject": "b", "status": "ok", "value": 2.0, "penalty": 2.0},
        {"subject": "c", "status": "both-empty", "value": NAN, "penalty": NAN},
    ]
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    assert found["mean"] == 21.0
    assert (found["n_subjects"], found["n_subjects_total"], found["n_both_empty"]) == (2, 3, 1)


@pytest.mark.parametrize(
    ("policy", "unit", "expected"),
    [
        (None, "mm", [40.0, 30.0, 2.0, NAN]),
        (DROPPED, "mm", [NAN, NAN, 2.0, NAN]),
        (FIXED, "mm", [256.0, NAN, 2.0, NAN]),
        (EmptyMaskPolicy("zero", "mm", reference=0.0), "mm", [NAN, 0.0, 2.0, NAN]),
        (DROPPED, "", [40.0, 30.0, 2.0, NAN]),
        (FIXED, "dB", [40.0, 30.0, 2.0, NAN]),
    ],
)
def test_policies_on_empty_masks_are_about_millimetres(
    policy: EmptyMaskPolicy | None, unit: str, expected: list[float]
) -> None:
    rows = [
        {"subject": "a", "status": "pred-empty", "penalty": 40.0},
        {"subject": "b", "status": "ref-empty", "penalty": 30.0},
        {"subject": "c", "status": "ok", "penalty": 2.0},
        {"subject": "d", "status": "both-empty", "penalty": NAN},
    ]
    scores = frame(rows).assign(unit=unit)
    assert count_values(scores, policy).tolist() == pytest.approx(expected, nan_ok=True)
    means = average_subjects(scores, ["method"], policy=policy)
    assert means["value"].tolist() == pytest.approx(expected, nan_ok=True)
    found = estimate_groups(scores, ["method"], policy=policy).iloc[0]
    assert found["mean"] == pytest.approx(np.nanmean(expected))
    assert (found["n_empty"], found["n_both_empty"]) == (2, 1)


def test_a_dropped_label_leaves_the_subjects_other_labels() -> None:
    rows = [{"label": "GM", "status": "pred-empty", "penalty": 40.0}, {"label": "WM", "penalty": 2.0}]
    scores = frame(rows).assign(unit="mm")
    assert average_subjects(scores, ["method"], policy=DROPPED)["value"].tolist() == [2.0]
    assert average_subjects(scores, ["method"])["value"].tolist() == [21.0]


def test_a_both_empty_label_leaves_the_subjects_other_labels() -> None:
    rows = [
        {"label": "GM", "status": "both-empty", "penalty": NAN},
        {"label": "WM", "penalty": 0.5},
    ]
    assert average_subjects(frame(rows), ["method"])["value"].tolist() == [0.5]


def test_a_failed_row_leaves_its_subject_out_and_is_counted() -> None:
    rows = [
        {"subject": "a", "label": "GM", "status": "failed", "penalty": NAN},
        {"subject": "a", "label": "WM", "penalty": 0.9},
        {"subject": "b", "label": "GM", "penalty": 0.3},
    ]
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    assert found["mean"] == 0.3
    assert (found["n_failed"], found["n_subjects"], found["n_subjects_total"]) == (1, 1, 2)
    assert found["n_missing_pairs"] == 1


def test_a_failed_row_with_a_penalty_is_still_failed() -> None:
    rows = [{"subject": "a", "status": "failed", "penalty": 0.0}, {"subject": "b", "penalty": 0.3}]
    assert estimate_groups(frame(rows), ["method"])["mean"].tolist() == [0.3]


def test_only_complete_pairs_count() -> None:
    values = {(0, "a"): 0.1, (0, "b"): 0.2, (0, "c"): 0.9, (1, "a"): 0.3, (1, "b"): 0.4}
    rows = [{"seed": float(seed), "subject": subject, "penalty": v} for (seed, subject), v in values.items()]
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    mean, se, df = estimate_mean_and_se(np.array([[0.1, 0.2], [0.3, 0.4]]))
    assert (found["mean"], found["se"], found["df"]) == pytest.approx((mean, se, df))
    assert (found["n_subjects"], found["n_subjects_total"], found["n_missing_pairs"]) == (2, 3, 1)


def test_a_seed_without_any_score_does_not_void_the_others() -> None:
    rows = [{"seed": 0.0, "subject": s, "penalty": v} for s, v in (("a", 0.1), ("b", 0.3))]
    rows += [{"seed": 1.0, "subject": s, "status": "failed", "penalty": NAN} for s in ("a", "b")]
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    assert found["mean"] == pytest.approx(0.2)
    assert (found["n_seeds"], found["n_subjects"], found["n_missing_pairs"], found["n_failed"]) == (
        1,
        2,
        2,
        2,
    )


def test_nothing_left_is_nan_not_an_error() -> None:
    found = estimate_groups(frame([{"status": "failed", "penalty": NAN}]), ["method"]).iloc[0]
    assert math.isnan(found["mean"])
    assert math.isnan(found["se"])
    assert (found["n_subjects"], found["n_subjects_total"]) == (0, 1)
    assert estimate_groups(frame([{"penalty": 1.0}]).iloc[:0], ["method"]).empty


def test_rows_without_a_seed_have_none() -> None:
    rows = [{"seed": NAN, "subject": s, "penalty": v} for s, v in (("a", 0.1), ("b", 0.3))]
    found = estimate_groups(frame(rows), ["method"]).iloc[0]
    assert found["n_seeds"] == 0
    assert found["se"] == pytest.approx(0.1)


def test_groups_with_nulls_are_kept_and_types_survive() -> None:
    rows = [
        {"fraction": f, "subject": s, "penalty": v} for f, v in ((0.1, 1.0), (NAN, 2.0)) for s in ("a", "b")
    ]
    found = estimate_groups(frame(rows), ["method", "fraction"])
    assert found["mean"].tolist() == [1.0, 2.0]
    assert found["fraction"].isna().tolist() == [False, True]
    assert estimate_groups(frame(rows).iloc[:0], ["fraction"])["fraction"].dtype == float


def test_many_groups_agree_with_a_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.random((4, 3, 10))
    rows = [
        {"method": f"m{m}", "seed": float(s), "subject": f"s{i}", "penalty": values[m, s, i]}
        for m in range(4)
        for s in range(3)
        for i in range(10)
    ]
    shuffled = frame(rows).sample(frac=1, random_state=0)
    found = estimate_groups(shuffled, ["method"]).set_index("method")
    for m in range(4):
        mean, se, df = estimate_mean_and_se(values[m])
        row = found.loc[f"m{m}"]
        assert (row["mean"], row["se"], row["df"]) == pytest.approx((mean, se, df))


@pytest.mark.parametrize(
    ("values", "higher", "expected"),
    [
        ([0.1, 0.3, 0.2], True, ["none", "best", "second"]),
        ([0.1, 0.3, 0.2], False, ["best", "none", "second"]),
        ([0.3, 0.3, 0.2], True, ["best", "best", "none"]),
        ([0.4, 0.3, 0.3], True, ["best", "second", "second"]),
        ([0.30000001, 0.3, 0.1], True, ["best", "second", "none"]),
        ([NAN, 0.3, 0.1], True, ["none", "best", "second"]),
        ([NAN, 0.3], True, ["none", "none"]),
        ([0.3], True, ["none"]),
        ([], True, []),
        ([math.inf, 0.3], True, ["best", "second"]),
    ],
)
def test_marks(values: list[float], higher: bool, expected: list[str]) -> None:
    assert mark(values, higher_is_better=higher) == expected
