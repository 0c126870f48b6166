"""Optimisers, groups of parameters, accumulation and moving averages: by hand, and resumed bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mribench.config import Optimisation
from mribench.interfaces import ParameterGroup
from mribench.seeding import torch_generator
from mribench.training import Checkpoint, History, Interrupted, Trainee, train
from mribench.training.optimisers import Lars
from mribench.training.weights import state_digest

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"warmup_fraction": 0.0, "decay_power": 0.0, "weight_decay": 0.0, "clip_norm": 1e9}


class Net(nn.Module):
    """A body with a norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.3))
        self.head = nn.Linear(6, 1)


class Fit(Trainee):
    """Fits sums of four numbers; ``seen`` has the batches that were asked for."""

    identity = ("fit",)

    def __init__(self, groups: tuple[ParameterGroup, ...] = ()) -> None:
        self.module = Net()
        self.groups = groups
        self.seen: list[tuple[int, int]] = []

    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        self.seen.append((step, batch))
        x = torch.randn(8, 4, generator=torch_generator("fit", batch))
        return {"fit": (self.module.head(self.module.body(x)) - x.sum(1, keepdim=True)).square().mean()}


def run(trainee: Trainee, **options: Any) -> History:
    return train(trainee, Optimisation(**{"steps": 3, "lr": 0.1, **PLAIN, **options}), CPU)


class Line(Trainee):
    """A weight of two axes and a bias with known gradients: each batch's number plus one."""

    identity = ("line",)

    def __init__(self) -> None:
        self.module = nn.Linear(1, 1)
        with torch.no_grad():
            self.module.weight.fill_(3.0)
            self.module.bias.fill_(2.0)

    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        del step
        return {"sum": (batch + 1) * (self.module.weight.sum() + self.module.bias.sum())}

    def values(self) -> tuple[float, float]:
        return self.module.weight.item(), self.module.bias.item()


def test_sgd_by_hand() -> None:
    line = Line()
    run(line, optimiser="sgd", momentum=0.5, steps=2)
    # gradients 1 and 2: the second step moves by 0.1 (0.5 * 1 + 2)
    assert line.values() == pytest.approx((3 - 0.1 - 0.25, 2 - 0.1 - 0.25))


def test_lars_scales_weights_and_not_biases() -> None:
    line = Line()
    run(line, optimiser="lars", momentum=0.0, steps=1, weight_decay=0.5)
    # the weight's gradient 1 + 0.5 * 3 is scaled to 0.001 of its norm, 3; the bias's is 1 + 0.5 * 2
    assert line.values() == pytest.approx((3 - 0.1 * 0.003, 2 - 0.1 * 2))


def test_lars_keeps_its_momentum() -> None:
    line = Line()
    run(line, optimiser="lars", momentum=0.9, steps=2)
    first = 0.1 * 0.001 * 3
    second = 0.1 * (0.9 * 0.003 + 0.001 * (3 - first))
    assert line.values()[0] == pytest.approx(3 - first - second)


def test_lars_without_weight_or_gradient_takes_a_plain_step() -> None:
    for weight, gradient in ((0.0, 2.0), (2.0, 0.0)):
        parameter = nn.Parameter(torch.full((2, 2), weight))
        parameter.grad = torch.full((2, 2), gradient)
        Lars([{"params": [parameter], "lr": 0.1}], momentum=0.0).step()
        assert torch.allclose(parameter, torch.full((2, 2), weight - 0.1 * gradient))


def test_betas_are_adamws() -> None:
    """Adam's first step is the rate, whatever the gradient; how soon it forgets shows in the second."""
    steps = []
    for betas in ([0.9, 0.999], [0.0, 0.999]):
        line = Line()
        run(line, betas=betas, steps=2)
        steps.append(3 - 0.1 - line.values()[0])
    mean = (0.1 * 0.9 * 1 + 0.1 * 2) / (1 - 0.9**2)
    spread = ((0.001 * 0.999 * 1 + 0.001 * 4) / (1 - 0.999**2)) ** 0.5
    assert steps == pytest.approx([0.1 * mean / spread, 0.1 * 2 / spread], rel=1e-4)


def test_norms_and_biases_may_keep_their_values() -> None:
    line = Line()
    line.losses = lambda step, batch: {"none": 0 * line.module.weight.sum()}  # type: ignore[method-assign]
    run(line, optimiser="sgd", momentum=0.0, steps=1, weight_decay=0.5, decay_norms=False)
    assert line.values() == pytest.approx((3 - 0.1 * 0.5 * 3, 2))


def test_weight_decay_grows_to_its_end() -> None:
    line = Line()
    line.losses = lambda step, batch: {"none": 0 * line.module.weight.sum()}  # type: ignore[method-assign]
    run(line, optimiser="sgd", momentum=0.0, steps=2, weight_decay=0.0, weight_decay_end=1.0)
    assert line.values()[0] == pytest.approx(3 * (1 - 0.1 * 0.0) * (1 - 0.1 * 1.0))


def test_accumulated_batches_are_one_step_of_their_mean() -> None:
    line = Line()
    history = run(line, optimiser="sgd", momentum=0.0, steps=2, accumulate=2)
    assert [row["sum"] for row in history.rows] == pytest.approx([1.5 * 5, 3.5 * (5 - 2 * 0.15)])
    assert line.values()[0] == pytest.approx(3 - 0.1 * 1.5 - 0.1 * 3.5)
    assert [row["step"] for row in history.rows] == [0, 1]
    assert all(isinstance(row["step"], int) for row in history.rows)
    fit = Fit()
    run(fit, steps=2, accumulate=3)
    assert fit.seen == [(0, 0), (0, 1), (0, 2), (1, 3), (1, 4), (1, 5)]


def test_a_moving_average_takes_the_weights_place_at_the_end() -> None:
    line = Line()
    run(line, optimiser="sgd", momentum=0.0, steps=2, ema=0.75)
    first, second = 3 - 0.1, 3 - 0.3
    average = 0.75 * (0.75 * 3 + 0.25 * first) + 0.25 * second
    assert line.values()[0] == pytest.approx(average)


def test_statistics_of_an_averaged_network_are_its_own() -> None:
    plain, averaged = Fit(), Fit()
    run(plain)
    run(averaged, ema=0.5)
    assert torch.equal(plain.module.body[1].running_mean, averaged.module.body[1].running_mean)
    assert not torch.equal(plain.module.head.weight, averaged.module.head.weight)


def trained(*groups: ParameterGroup, **options: Any) -> Net:
    fit = Fit(groups)
    run(fit, **options)
    return fit.module


def test_groups_learn_at_their_own_rates() -> None:
    usual, slow = trained(steps=1), trained(ParameterGroup("head.", rate=0.1), steps=1)
    start = Net()
    assert torch.equal(usual.body[0].weight, slow.body[0].weight)
    assert torch.allclose(
        slow.head.weight - start.head.weight, 0.1 * (usual.head.weight - start.head.weight), atol=1e-6
    )


def test_groups_without_a_schedule_stay_at_their_peak() -> None:
    """At the last step of a schedule that has gone to nothing only they move."""
    options = {"steps": 1, "warmup_fraction": 0.0, "decay_power": 0.9}
    constant = ParameterGroup("head.", scheduled=False)
    before = trained(constant, **{**options, "steps": 1})
    after = trained(constant, **{**options, "steps": 2, "decay_power": 50.0})
    assert torch.allclose(before.body[0].weight, after.body[0].weight, atol=1e-6)
    assert not torch.allclose(before.head.weight, after.head.weight, atol=1e-3)


def test_groups_may_keep_their_weights_from_decay() -> None:
    usual = trained(weight_decay=0.5)
    kept = trained(ParameterGroup("head.", decays=False), weight_decay=0.5)
    assert kept.head.weight.norm() > usual.head.weight.norm() + 0.05


def test_groups_may_begin_later() -> None:
    start = Net()
    frozen = trained(ParameterGroup("head.", frozen_share=0.5), steps=2)
    assert not torch.equal(frozen.head.weight, start.head.weight)
    still = trained(ParameterGroup("head.", frozen_share=1.0), steps=2, weight_decay=0.5)
    assert torch.equal(still.head.weight, start.head.weight), "neither learnt nor decayed"
    assert not torch.equal(still.body[0].weight, start.body[0].weight)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd", "lars"])
@pytest.mark.parametrize("stop_at", [1, 4])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, optimiser: str, stop_at: int) -> None:
    options = Optimisation(
        steps=6, lr=0.05, optimiser=optimiser, schedule="cosine", weight_decay_end=0.2, decay_norms=False,
        accumulate=2, ema=0.9,
    )  # fmt: skip
    groups = (ParameterGroup("head.", scheduled=False, frozen_share=0.4),)

    def stop(done: int, _total: int) -> None:
        if done == stop_at:
            raise Interrupted

    whole, first, resumed = Fit(groups), Fit(groups), Fit(groups)
    expected = train(whole, options, CPU)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(Interrupted):
        train(first, options, CPU, checkpoint, stop)
    assert train(resumed, options, CPU, checkpoint).rows == expected.rows
    assert state_digest(resumed.module) == state_digest(whole.module)
