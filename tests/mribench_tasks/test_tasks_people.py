"""The tasks about people: targets, options, what is learnt of training subjects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from mribench.errors import ConfigError, DataError
from mribench.interfaces import SubjectTask, TaskRef, TrainingSubject, TrainingTargets
from mribench.plugins import load_registry
from mribench.testing import PyramidEncoder, make_task_volume

SEX = {"name": "classification", "covariate": "sex", "classes": {"female": ["F", 2], "male": ["M", "1"]}}


def make(**options: Any) -> SubjectTask:
    made: SubjectTask = load_registry().resolve(TaskRef.model_validate(options), "t", "corrected").make()
    return made


def people(*targets: float) -> list[TrainingSubject]:
    return [TrainingSubject(f"a:{place}", target, {}) for place, target in enumerate(targets)]


@pytest.mark.parametrize(
    ("value", "number"), [("F", 0), (2, 0), (2.0, 0), ("2", 0), ("M", 1), (1, 1), (" M ", 1), ("other", None)]
)
def test_codes_are_compared_as_texts(value: object, number: float | None) -> None:
    task = make(**SEX, leave_out=["other"])
    assert task.classes == ("female", "male")
    assert task.target({"sex": value}) == number


def test_values_are_classes_of_their_own_names() -> None:
    task = make(name="classification", covariate="group", classes=["AD", "MCI", "CN"])
    assert task.classes == ("AD", "MCI", "CN")
    assert [task.target({"group": name}) for name in task.classes] == [0, 1, 2]


@pytest.mark.parametrize(
    ("task", "value", "message"),
    [
        ({"name": "regression", "covariate": "age"}, "old", "'age' is 'old', expected a number"),
        ({"name": "regression", "covariate": "age"}, True, "'age' is True, expected a number"),
        ({"name": "regression", "covariate": "age"}, float("inf"), "expected a number"),
        (SEX, "x", "'sex' is 'x', which no class has"),
    ],
)
def test_what_is_no_target_is_refused(task: dict[str, Any], value: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        make(**task).target({task["covariate"]: value})
    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({**SEX, "classes": {"a": ["x", "y"], "b": "x"}}, "classes: x is a value of 'a' and of 'b'"),
        ({**SEX, "leave_out": ["M"]}, "leave_out: M is a value of the class 'male' too"),
        ({**SEX, "classes": ["x"]}, "classes"),
        ({**SEX, "augment": {"gain": 0.2}}, "augment: not with a probe, which sees no crop"),
        ({"name": "regression", "covariate": "age", "probe": "knnn"}, "unknown probe 'knnn'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_targets_of_training_subjects_are_noted() -> None:
    ages = TrainingTargets.of(people(20, 40, 60), 0)
    assert (ages.n, ages.mean, ages.class_weights) == (3, 40.0, ())
    assert ages.sd == pytest.approx(np.std([20, 40, 60]))
    assert TrainingTargets.of(people(20, 20), 0).sd == 1
    weights = TrainingTargets.of(people(0, 0, 0, 1), 3).class_weights
    assert weights == pytest.approx((4 / 6, 2, 0))


def test_the_head_speaks_in_the_targets_own_unit() -> None:
    task = make(name="regression", covariate="age", probe=None)
    task.learn_from(people(20, 40, 60))
    encoder = PyramidEncoder()
    head = task.build_head(encoder)
    torch.nn.init.zeros_(head.linear.weight)
    torch.nn.init.constant_(head.linear.bias, 1.0)
    output = head(torch.zeros(2, encoder.embedding_dim))
    sd = float(np.std([20, 40, 60]))
    torch.testing.assert_close(output, torch.full((2, 1), 40 + sd))
    loss = task.loss(output, {"target": torch.tensor([40.0, 40 + 3 * sd])})
    torch.testing.assert_close(loss, torch.tensor((1 + 4) / 2))
    fresh = make(name="regression", covariate="age", probe=None).build_head(encoder)
    fresh.load_state_dict(head.state_dict())
    assert torch.equal(
        fresh(torch.ones(1, encoder.embedding_dim)), head(torch.ones(1, encoder.embedding_dim))
    )


def test_every_class_counts_the_same() -> None:
    task = make(**SEX, probe=None)
    task.learn_from(people(0, 0, 0, 1))
    even = torch.zeros(1, 2)
    rare, usual = (task.loss(even, {"target": torch.tensor([target])}) for target in (1.0, 0.0))
    torch.testing.assert_close(rare, torch.tensor(2 * np.log(2)).float())
    torch.testing.assert_close(usual, torch.tensor(4 / 6 * np.log(2)).float())


def test_a_scan_is_predicted_in_probabilities() -> None:
    task = make(**SEX, probe=None)
    volume = make_task_volume(None, None)
    predicted = task.predict(lambda image: torch.tensor([0.0, math.log(3)]), volume, torch.Generator())
    torch.testing.assert_close(predicted, torch.tensor([0.25, 0.75]))
    assert task.score(predicted, volume) == []
