"""The training loop: schedule, resumption bit for bit, frozen parts, bad losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mribench.config import Optimisation
from mribench.errors import JobError, StoreError
from mribench.seeding import torch_generator
from mribench.training import Checkpoint, History, Interrupted, Trainee, train
from mribench.training.schedule import rate_share, weight_decay_at
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


class _Trained(Trainee):
    """The network of the tests, with losses of a test's own."""

    def __init__(self, net: _Net, losses: Callable[[int], Mapping[str, Tensor]] | None = None) -> None:
        self.module = net
        self.identity = ("t", 0)
        self._losses = losses or net.losses

    def losses(self, step: int, batch: int) -> Mapping[str, Tensor]:
        del step
        return self._losses(batch)


def _train(net: _Net, steps: int = 12, **more: Any) -> History:
    return train(_Trained(net), Optimisation(steps=steps, lr=0.05), CPU, **more)


WAITS = ("item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__", "__index__")


@pytest.mark.parametrize("more", [{}, {"accumulate": 3}])
def test_a_batch_is_waited_for_once(monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]) -> None:
    waited: list[str] = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(Tensor, name)
        return lambda tensor, *given: waited.append(name) or original(tensor, *given)

    for name in WAITS:
        monkeypatch.setattr(Tensor, name, counted(name))
    train(_Trained(_Net()), Optimisation(steps=5, lr=0.05, optimiser="sgd", **more), CPU)
    assert waited == ["tolist"] * 5 * more.get("accumulate", 1), "on a GPU the host stands still at each"


def test_schedule_rises_then_decays_to_nothing() -> None:
    options = Optimisation(steps=100, lr=1.0, warmup_fraction=0.1, decay_power=0.9)
    assert rate_share(options, 0) == pytest.approx(0.1)
    assert rate_share(options, 9) == pytest.approx(1.0)
    assert rate_share(options, 10) == pytest.approx(1.0)
    assert rate_share(options, 55) == pytest.approx(0.5**0.9)
    assert 0 < rate_share(options, 99) < 0.02
    assert rate_share(Optimisation(steps=10, lr=1.0), 0) == 1.0


def test_cosine_schedule() -> None:
    options = Optimisation(steps=100, lr=1.0, warmup_fraction=0.2, schedule="cosine")
    shares = [rate_share(options, step) for step in (19, 20, 40, 60, 80)]
    assert shares == pytest.approx([1.0, 1.0, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4])
    assert 0 < rate_share(options, 99) < 0.001


def test_weight_decay_stays_or_goes_to_its_end() -> None:
    options = Optimisation(steps=101, lr=1.0, weight_decay=0.04)
    assert {weight_decay_at(options, step) for step in (0, 50, 100)} == {0.04}
    growing = options.model_copy(update={"weight_decay_end": 0.4})
    assert [weight_decay_at(growing, step) for step in (0, 50, 100)] == pytest.approx([0.04, 0.22, 0.4])
    assert weight_decay_at(Optimisation(steps=1, lr=1.0, weight_decay_end=0.4), 0) == pytest.approx(0.01)


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


class _Counting(_Trained):
    """Counts what a job counts beside its training."""

    def __init__(self) -> None:
        super().__init__(_Net())
        self.seen = torch.empty(0, 2)
        self.checks: list[dict[str, float]] = []

    def after_step(self, step: int, total: int) -> None:
        self.seen = torch.cat([self.seen, torch.full((1, 2), 0.1 * step)])
        if step % 3 == 0:
            self.checks.append({"step": step, "rank": step / 7, "cosine": math.inf})

    def state_dict(self) -> dict[str, object]:
        return {"seen": self.seen, "checks": self.checks}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        assert set(state) == {"seen", "checks"}
        self.seen, self.checks = state["seen"], state["checks"]  # type: ignore[assignment]


@pytest.mark.parametrize("stop_at", [1, 7])
def test_what_a_job_carries_is_as_if_uninterrupted(tmp_path: Path, stop_at: int) -> None:
    def stop(done: int, _total: int) -> None:
        if done == stop_at:
            raise Interrupted

    whole, first, second = _Counting(), _Counting(), _Counting()
    options = Optimisation(steps=12, lr=0.05)
    train(whole, options, CPU)
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(Interrupted):
        train(first, options, CPU, checkpoint, stop)
    assert len(first.seen) == stop_at
    train(second, options, CPU, checkpoint)
    assert [row["step"] for row in second.checks] == [0, 3, 6, 9]
    assert second.checks == whole.checks
    assert torch.equal(second.seen, whole.seen)


def test_the_loss_scale_of_fp16_is_gone_on_with(tmp_path: Path) -> None:
    """The first scale is too large on purpose: steps are left out until it has fallen."""

    def trained(net: _Net, checkpoint: Checkpoint | None = None, stop_at: int = 0) -> History:
        def stop(done: int, _total: int) -> None:
            if done == stop_at:
                raise Interrupted

        options = Optimisation(steps=12, lr=0.05, precision="fp16")
        large = _Trained(net, lambda step: {"fit": 100 * net.losses(step)["fit"]})
        return train(large, options, CPU, checkpoint, stop)

    whole, resumed = _Net(), _Net()
    before = state_digest(whole.layers[0])
    expected = trained(whole)
    assert state_digest(whole.layers[0]) != before, "some steps are taken"
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors")
    with pytest.raises(Interrupted):
        trained(_Net(), checkpoint, stop_at=8)
    _, extra = checkpoint.restore(_Net(), torch.optim.AdamW(_Net().parameters()))
    assert extra["stepper"]["scale"] < 2.0**16, "the scale has fallen"
    assert trained(resumed, checkpoint).rows == expected.rows
    assert state_digest(resumed) == state_digest(whole)


def test_a_checkpoint_of_another_version_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", every_s=0.0)
    _train(_Net(), 3, checkpoint=checkpoint)
    with safe_open(checkpoint.path, framework="pt") as file:
        metadata = {
            name: value for name, value in file.metadata().items() if name not in ("format", "sha256")
        }
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    save_file(tensors, checkpoint.path, metadata)
    net, whole = _Net(), _Net()
    assert _train(net, checkpoint=Checkpoint(checkpoint.path)).rows == _train(whole).rows
    assert state_digest(net) == state_digest(whole)
    assert "another version of mribench: the job begins anew" in caplog.text


def test_moments_keep_the_layout_of_their_parameters(tmp_path: Path) -> None:
    def made() -> tuple[nn.Module, torch.optim.AdamW]:
        net = nn.Conv3d(2, 4, 3).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        return net, torch.optim.AdamW(net.parameters())

    net, optimiser = made()
    net(torch.randn(1, 2, 4, 4, 4, generator=torch_generator("layout"))).square().mean().backward()
    optimiser.step()
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    checkpoint.save(net, optimiser, 1, {})
    again, restored = made()
    checkpoint.restore(again, restored)
    weight = again.weight
    assert not weight.is_contiguous()
    for name in ("exp_avg", "exp_avg_sq"):
        assert restored.state[weight][name].stride() == weight.stride()
        assert torch.equal(restored.state[weight][name], optimiser.state[net.weight][name])


def test_terms_of_other_types_are_recorded_exactly() -> None:
    net = _Net()
    values = {"half": torch.tensor(0.1, dtype=torch.bfloat16), "double": torch.tensor(0.1).double()}

    def losses(step: int) -> Mapping[str, Tensor]:
        return {**net.losses(step), **values}

    (row,) = train(_Trained(net, losses), Optimisation(steps=1, lr=0.1), CPU).rows
    assert {name: row[name] for name in values} == {name: value.item() for name, value in values.items()}
    assert row["step"] == 0


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5, 0.8, 0.999, None])
def test_a_damaged_checkpoint_begins_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, share: float | None
) -> None:
    """A flipped bit in its header, its counts or its tensors; or it was cut."""
    checkpoint = Checkpoint(tmp_path / "c.safetensors", every_s=0.0)
    _train(_Net(), 3, checkpoint=checkpoint)
    content = bytearray(checkpoint.path.read_bytes())
    if share is None:
        content = content[:-10]
    else:
        content[int(share * len(content))] ^= 1
    checkpoint.path.write_bytes(content)
    net, whole = _Net(), _Net()
    assert _train(net, checkpoint=Checkpoint(checkpoint.path)).rows == _train(whole).rows
    assert state_digest(net) == state_digest(whole)
    assert "is damaged" in caplog.text
    assert "the job begins anew" in caplog.text


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
    class Slow(_Trained):
        def peak_rate(self, name: str, usual: float) -> float:
            return 0.0 if name.startswith("layers.0") else usual

    still, moved = _Net(), _Net()
    train(Slow(still), Optimisation(steps=12, lr=0.05), CPU)
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
        train(_Trained(net, losses), Optimisation(steps=5, lr=0.1), CPU)


def test_weights_of_terms() -> None:
    net = _Net()

    def losses(step: int) -> Mapping[str, Tensor]:
        return {"fit": net.losses(step)["fit"], "big": torch.tensor(7.0)}

    trainee = _Trained(net, losses)
    trainee.weights = {"big": 2.0}
    history = train(trainee, Optimisation(steps=1, lr=0.1), CPU)
    row = history.rows[0]
    assert row["total"] == pytest.approx(row["fit"] + 14.0)


def test_bf16_runs() -> None:
    options = Optimisation(steps=2, lr=0.01, precision="bf16")
    net = _Net()
    assert len(train(_Trained(net), options, CPU).rows) == 2


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
