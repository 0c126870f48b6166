"""One training loop for pretraining and adaptation."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mribench.seeding import Identity, derive_seed
from mribench.training.checkpoint import Checkpoint
from mribench.training.options import LoopOptions
from mribench.training.stepper import Stepper


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


class Carried(Protocol):
    """What a job finds out while it trains, kept in the checkpoint: a job that goes on knows all of it."""

    def state_dict(self) -> dict[str, Any]:
        """Return what is known after the last step: tensors, and what JSON can hold, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` returned."""
        ...


def train(
    module: nn.Module,
    losses: Callable[[int], Mapping[str, Tensor]],
    options: LoopOptions,
    *,
    identity: tuple[Identity, ...],
    device: torch.device,
    weights: Mapping[str, float] | None = None,
    checkpoint: Checkpoint | None = None,
    carried: Carried | None = None,
    after_step: Callable[[int, int], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    rates: Callable[[str], float] | None = None,
    clipped: Callable[[str], bool] | None = None,
    watch: Callable[[list[dict[str, float]]], None] | None = None,
) -> History:
    """Train every parameter of ``module`` that wants a gradient; resume from the checkpoint if there is one.

    Args:
        module: what is trained.
        losses: the named loss terms of a step.
        options: optimiser and schedule.
        identity: seeds dropout, step by step.
        device: where the module lies.
        weights: of the loss terms; 1 where not named.
        checkpoint: where the state is kept while the job runs.
        carried: what else of the job is kept there.
        after_step: called with (step, total) after each optimiser step.
        on_step: called with (steps done, total), for progress; may raise ``Interrupted``.
        rates: peak learning rate of a parameter by its name; ``options.lr`` for all when None.
        clipped: whether the gradient of a parameter is clipped, by its name; all of them when None.
        watch: called once, with the list that the row of each step is appended to.

    Raises:
        JobError: when a loss is not finite.
        Interrupted: from ``on_step``, after a checkpoint was written.
    """
    stepper = Stepper(module, options, device, weights, rates, clipped)
    keeper = _Keeper(checkpoint, module, stepper, carried)
    done, history = keeper.restore()
    if watch:
        watch(history.rows)
    for step in range(done, options.steps):
        # Dropout can only draw from torch's own generator: seeded by (job, step), it depends on nothing else.
        torch.manual_seed(derive_seed("dropout", *identity, step))
        history.rows.append(stepper.step(step, losses))
        if after_step:
            after_step(step, options.steps)
        try:
            if on_step:
                on_step(step + 1, options.steps)
        except Interrupted:
            keeper.save(step + 1, history)
            raise
        keeper.save_now_and_then(step + 1, history)
    return history


class _Keeper:
    """Writes a training's checkpoint, and reads it; does nothing without one."""

    _CARRIED = "carried."

    def __init__(
        self, checkpoint: Checkpoint | None, module: nn.Module, stepper: Stepper, carried: Carried | None
    ) -> None:
        self._checkpoint, self._module, self._stepper, self._carried = checkpoint, module, stepper, carried
        self._saved_at = time.monotonic()

    def restore(self) -> tuple[int, History]:
        """Return the steps done and their history; everything else goes where it came from."""
        if self._checkpoint is None:
            return 0, History()
        done, extra = self._checkpoint.restore(self._module, self._stepper.optimiser)
        if not done:
            return 0, History()
        self._stepper.load_state_dict(extra["stepper"])
        if self._carried:
            self._carried.load_state_dict(
                {
                    name.removeprefix(self._CARRIED): value
                    for name, value in extra.items()
                    if name.startswith(self._CARRIED)
                }
            )
        return done, History(extra["history"])

    def save(self, done: int, history: History) -> None:
        """Write the state after ``done`` steps."""
        if self._checkpoint is None:
            return
        state = self._carried.state_dict() if self._carried else {}
        extra = {"history": history.rows, "stepper": self._stepper.state_dict()}
        extra |= {f"{self._CARRIED}{name}": value for name, value in state.items()}
        self._checkpoint.save(self._module, self._stepper.optimiser, done, extra)
        self._saved_at = time.monotonic()

    def save_now_and_then(self, done: int, history: History) -> None:
        """Write the state when the last one is old."""
        if self._checkpoint and time.monotonic() - self._saved_at > self._checkpoint.every_s:
            self.save(done, history)
