"""Each row chooses its learning rate, on the validation subjects; those of the test have no part in it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
import yaml
from command_line import call
from specifications import adapt_spec

from mribench.config import AdaptOptions
from mribench.errors import JobError
from mribench.interfaces.metric import Score
from mribench.interfaces.task import Task
from mribench.jobs.chosen_rate import ChosenRate, choose_rate
from mribench.results.records import SCORE_FILE_SCHEMA, write_table

FACTORS = [0.5, 1.0, 2.0]


def write_trial(jobs: Path, key: str, metric: str, *scores: Score) -> None:
    """Write the score rows of a trial, and one of a metric that must not count."""
    common = {"job_key": key, "session": "", "unit": ""}
    rows = [
        {**common, "subject": f"s{place}", "label": "GM", "metric": metric,
         "value": score.value, "status": score.status, "penalty": score.penalty}
        for place, score in enumerate(scores)
    ]  # fmt: skip
    other = {**rows[0], "metric": "other", "value": 1e6, "status": "ok", "penalty": 1e6}
    (jobs / key).mkdir(parents=True)
    write_table(jobs / key / "records.parquet", [*rows, other], SCORE_FILE_SCHEMA)


def choose(jobs: Path, trials: list[list[Score]], *, higher_is_better: bool = True) -> ChosenRate:
    """Choose among trials whose validation scans have these scores."""
    metric = SimpleNamespace(id="mine", higher_is_better=higher_is_better)
    keys = tuple(f"trial{place}" for place in range(len(trials)))
    for key, scores in zip(keys, trials, strict=True):
        write_trial(jobs, key, metric.id, *scores)
    options = AdaptOptions(steps=1, lr=1e-3, lr_factors=FACTORS)
    task = cast("Task", SimpleNamespace(metrics=[metric]))
    return choose_rate(adapt_spec(trial_keys=keys), options, task, jobs)


def ok(*values: float) -> list[Score]:
    return [Score(value) for value in values]


EMPTY = Score(0.0, "pred-empty", 0.0)
FAILED = Score(math.nan, "failed", math.nan)
BOTH_EMPTY = Score(math.nan, "both-empty", math.nan)


@pytest.mark.parametrize(
    ("trials", "factor"),
    [
        ([ok(0.1, 0.2), ok(0.3, 0.3), ok(0.2, 0.3)], 1.0),
        ([ok(0.1), ok(0.3), ok(0.3)], 1.0),  # of equals the smallest
        ([ok(0.6, 0.6), [Score(0.9), EMPTY], ok(0.5, 0.5)], 0.5),  # an empty mask counts as its penalty
        ([ok(0.1, 0.1), [Score(0.9), FAILED], ok(0.2, 0.2)], 2.0),  # a scan without a score rules a rate out
        ([ok(0.1, 0.1), [Score(0.9), BOTH_EMPTY], ok(0.2, 0.2)], 1.0),  # nothing was there to find
    ],
)
def test_the_best_mean_is_chosen(tmp_path: Path, trials: list[list[Score]], factor: float) -> None:
    assert choose(tmp_path, trials).factor == factor


def test_an_error_is_chosen_to_be_small(tmp_path: Path) -> None:
    assert choose(tmp_path, [ok(3.0), ok(2.0), ok(4.0)], higher_is_better=False).factor == 1.0


def test_where_no_rate_has_a_score_all_are_named(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"none of the learning rates 0\.0005, 0\.001, 0\.002 has a mine"):
        choose(tmp_path, [[FAILED], [FAILED], [BOTH_EMPTY]])


def test_a_rate_that_diverges_is_not_taken_and_fails_nothing(repository: Path, tmp_path: Path) -> None:
    content: dict[str, Any] = yaml.safe_load((repository / "tests" / "benchmarks" / "tiny.yaml").read_text())
    del content["tasks"]["denoise"]
    content |= {"seeds": [0, 1], "arms": ["frozen"], "reference_arms": ["scratch"]}
    adapt = content["tasks"]["tissue"]["adapt"]
    adapt |= {"steps": 4, "lr_factors": [0.5, 1.0, 1e25]}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    ran = call("run", file, "--results", tmp_path, "--executor", "inline")
    assert (ran.code, ran.err) == (0, "")
    chosen = pd.concat(map(pd.read_parquet, tmp_path.glob("tiny/jobs/*/learning_rates.parquet")))
    assert chosen.groupby("job_key")["chosen"].sum().eq(1).all()
    assert len(chosen) == 2 * 2 * 3, "two rows, two seeds"
    assert not chosen[chosen["lr_factor"].eq(1e25)]["chosen"].any()
    assert chosen.groupby("lr")["score"].nunique().le(2).all(), "the seeds of a row choose from the same"

    shown = call("report", tmp_path / "tiny", "--table", "learning-rates")
    assert "scratch" in shown.out
    assert "0.001" in shown.out
    own = call("report", tmp_path / "tiny", "--table", "leaderboard").out
    assert "2 seeds" in own, "the trials are no cells"
