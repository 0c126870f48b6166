"""One training loop for pretraining and adaptation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mribench.config.settings import Optimisation
from mribench.seeding import derive_seed
from mribench.training.checkpoint import Checkpoint, take_below
from mribench.training.stepper import Stepper
from mribench.training.trainee import Trainee


class Interrupted(Exception):  # noqa: N818 - not an error: the job goes on later
    """The job was asked to stop; its checkpoint is written."""


@dataclass
class History:
    """Loss terms by step."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def mean(self, name: str, first: bool, share: float = 0.1) -> float:
        """Return the mean of a term over the first or last ``share`` of the steps."""
        n = max(1, round(share * len(self.rows)))
        rows = self.rows[:n] if first else self.rows[-n:]
        return sum(row[name] for row in rows) / len(rows)


def train(
    trainee: Trainee,
    options: Optimisation,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    on_step: Callable[[int, int], None] = lambda *_: None,
    watch: Callable[[list[dict[str, float]]], None] = lambda _: None,
) -> History:
    """Train; go on from the checkpoint if there is one.

    Args:
        trainee: what is trained.
        options: optimiser and schedule.
        device: where the module lies.
        checkpoint: where the state is kept while the job runs.
        on_step: called with (steps done, total), for progress; may raise ``Interrupted``.
        watch: called once, with the list that the row of each step is appended to.

    Raises:
        DivergenceError: when a loss is not finite.
        Interrupted: from ``on_step``, after a checkpoint was written.
    """
    stepper = Stepper(trainee, options, device)
    average = None if options.ema is None else _make_average(trainee.module, options.ema)
    keeper = _Keeper(checkpoint, trainee, stepper, average)
    done, history = keeper.restore()
    watch(history.rows)
    for step in range(done, options.steps):
        # Dropout can only draw from torch's own generator: seeded by (job, step), it depends on nothing else.
        torch.manual_seed(derive_seed("dropout", *trainee.identity, step))
        history.rows.append(stepper.step(step))
        if average is not None:
            average.update_parameters(trainee.module)
        trainee.after_step(step, options.steps)
        try:
            on_step(step + 1, options.steps)
        except Interrupted:
            keeper.save(step + 1, history)
            raise
        keeper.save_now_and_then(step + 1, history)
    if average is not None:
        trainee.module.load_state_dict(average.module.state_dict())
    return history


def _make_average(module: nn.Module, decay: float) -> AveragedModel:
    """Return a moving average of a module's parameters, which begins with them; buffers are the module's."""
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))
    # 1: it would begin with the first update otherwise; on the host, which looks at it at every step
    average.n_averaged = torch.ones((), dtype=torch.long)
    return average


class _Keeper:
    """Writes a training's checkpoint, and reads it; does nothing without one."""

    _CARRIED = "carried."
    _AVERAGE = "average."

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        trainee: Trainee,
        stepper: Stepper,
        average: AveragedModel | None,
    ) -> None:
        self._checkpoint, self._trainee, self._stepper = checkpoint, trainee, stepper
        self._average = average
        self._saved_at = time.monotonic()

    def restore(self) -> tuple[int, History]:
        """Return the steps done and their history; everything else goes where it came from."""
        if self._checkpoint is None:
            return 0, History()
        done, extra = self._checkpoint.restore(self._trainee.module, self._stepper.optimiser)
        if not done:
            return 0, History()
        self._stepper.load_state_dict(extra["stepper"])
        self._trainee.load_state_dict(take_below(extra, self._CARRIED))
        if self._average is not None:
            self._average.load_state_dict(take_below(extra, self._AVERAGE))
        return done, History(extra["history"])

    def save(self, done: int, history: History) -> None:
        """Write the state after ``done`` steps."""
        if self._checkpoint is None:
            return
        extra = {"history": history.rows, "stepper": self._stepper.state_dict()}
        extra |= {f"{self._CARRIED}{name}": value for name, value in self._trainee.state_dict().items()}
        if self._average is not None:
            averaged = self._average.state_dict()
            extra |= {f"{self._AVERAGE}{name}": value for name, value in averaged.items()}
        self._checkpoint.save(self._trainee.module, self._stepper.optimiser, done, extra)
        self._saved_at = time.monotonic()

    def save_now_and_then(self, done: int, history: History) -> None:
        """Write the state when the last one is old."""
        if self._checkpoint and time.monotonic() - self._saved_at > self._checkpoint.every_s:
            self.save(done, history)
