"""The training loop: schedule, resumption bit for bit, frozen parts, bad losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mribench.errors import JobError, StoreError
from mribench.seeding import torch_generator
from mribench.training import Checkpoint, History, Interrupted, LoopOptions, train
from mribench.training.weights import load_weights, save_weights, state_digest

CPU = torch.device("cpu")


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def losses(self, step: int) -> Mapping[str, Tensor]:
        x = torch.randn(6, 4, generator=torch_generator("test", step))
        return {"fit": (self.layers(x) - x.sum(1, keepdim=True)).square().mean()}


def _train(net: _Net, steps: int = 12, **changes: object) -> History:
    options = LoopOptions(steps=steps, lr=0.05)
    return train(net, net.losses, options, identity=("t", 0), device=CPU, **changes)  # type: ignore[arg-type]


def test_schedule_rises_then_decays_to_nothing() -> None:
    options = LoopOptions(steps=100, lr=1.0, warmup_fraction=0.1, decay_power=0.9)
    assert options.rate(0) == pytest.approx(0.1)
    assert options.rate(9) == pytest.approx(1.0)
    assert options.rate(10) == pytest.approx(1.0)
    assert options.rate(55) == pytest.approx(0.5**0.9)
    assert 0 < options.rate(99) < 0.02
    assert LoopOptions(steps=10, lr=1.0).rate(0) == 1.0


def test_training_learns_and_repeats_itself() -> None:
    first, second = _Net(), _Net()
    history = _train(first, 60)
    torch.manual_seed(999)  # the global state of the process must not matter
    _train(second, 60)
    assert history.mean("total", first=False) < history.mean("total", first=True)
    assert state_digest(first) == state_digest(second)


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, stop_at: int) -> None:
    whole = _Net()
    expected = _train(whole)

    def stop(done: int, _total: int) -> None:
        if done == stop_at:
            raise Interrupted

    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(Interrupted):
        _train(_Net(), checkpoint=checkpoint, on_step=stop)
    resumed = _Net()
    steps: list[int] = []
    history = _train(resumed, checkpoint=checkpoint, on_step=lambda done, _: steps.append(done))
    assert steps == list(range(stop_at + 1, 13))
    assert state_digest(resumed) == state_digest(whole)
    assert history.rows == expected.rows


def test_checkpoint_by_time(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", every_s=0.0)
    _train(_Net(), 3, checkpoint=checkpoint)
    assert checkpoint.path.exists()
    checkpoint.remove()
    assert not checkpoint.path.exists()


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", every_s=0.0)
    _train(_Net(), 3, checkpoint=checkpoint)
    other = nn.Linear(2, 2)
    with pytest.raises(StoreError, match="does not fit"):
        checkpoint.restore(other, torch.optim.AdamW(other.parameters()))


def test_frozen_parameters_stay(tmp_path: Path) -> None:
    net = _Net()
    net.layers[0].requires_grad_(False)
    before = state_digest(net.layers[0])
    _train(net)
    assert state_digest(net.layers[0]) == before
    assert state_digest(net) != state_digest(_Net())


def test_all_frozen_is_an_error() -> None:
    with pytest.raises(JobError, match="nothing to train"):
        _train(_Net().requires_grad_(False))


def test_rates_by_name() -> None:
    still, moved = _Net(), _Net()
    _train(still, rates=lambda name: 0.0 if name.startswith("layers.0") else 0.05)
    _train(moved)
    fresh = _Net()
    assert torch.equal(still.layers[0].weight, fresh.layers[0].weight)
    assert not torch.equal(moved.layers[0].weight, fresh.layers[0].weight)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_loss_that_is_not_finite_names_step_and_term(value: float) -> None:
    net = _Net()

    def losses(step: int) -> Mapping[str, Tensor]:
        return {"fit": net.losses(step)["fit"] * (value if step == 2 else 1.0)}

    with pytest.raises(JobError, match="step 2: fit"):
        train(net, losses, LoopOptions(steps=5, lr=0.1), identity=("t",), device=CPU)


def test_weights_of_terms() -> None:
    net = _Net()

    def losses(step: int) -> Mapping[str, Tensor]:
        return {"fit": net.losses(step)["fit"], "big": torch.tensor(7.0)}

    history = train(
        net, losses, LoopOptions(steps=1, lr=0.1), identity=("t",), device=CPU, weights={"big": 2.0}
    )
    row = history.rows[0]
    assert row["total"] == pytest.approx(row["fit"] + 14.0)


def test_bf16_runs() -> None:
    options = LoopOptions(steps=2, lr=0.01, precision="bf16")
    net = _Net()
    assert len(train(net, net.losses, options, identity=("t",), device=CPU).rows) == 2


def test_weights_round_trip_and_digest(tmp_path: Path) -> None:
    net, other = _Net(), _Net()
    _train(net)
    save_weights(tmp_path / "w.safetensors", net.state_dict())
    assert state_digest(net) != state_digest(other)
    load_weights(other, tmp_path / "w.safetensors")
    assert state_digest(net) == state_digest(other)


def test_weights_that_do_not_fit_or_are_damaged(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", nn.Linear(3, 3).state_dict())
    with pytest.raises(StoreError, match="do not fit"):
        load_weights(_Net(), tmp_path / "w.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04not safetensors")
    with pytest.raises(StoreError, match="cannot read the weights"):
        load_weights(_Net(), tmp_path / "bad.safetensors")


def test_weights_by_prefix(tmp_path: Path) -> None:
    net = _Net()
    with torch.no_grad():
        net.layers[0].weight.add_(1)
    save_weights(tmp_path / "w.safetensors", {f"head.{k}": v for k, v in net.state_dict().items()} | {
        "encoder.x": torch.zeros(1)
    })  # fmt: skip
    other = _Net()
    load_weights(other, tmp_path / "w.safetensors", prefix="head.")
    assert state_digest(other) == state_digest(net)
