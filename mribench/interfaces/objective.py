"""Self-supervised objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mribench.interfaces.encoder import Encoder
from mribench.interfaces.views import View, ViewRequest


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of an objective that are trained otherwise than the rest.

    Attributes:
        prefix: of their names, e.g. ``predictor.``.
        rate: their peak learning rate, as a share of the usual one.
        decays: whether their weights decay.
        scheduled: whether their rate follows the schedule; it stays at its peak where not.
        frozen_share: of the steps, at the beginning, in which they do not learn.
    """

    prefix: str
    rate: float = 1.0
    decays: bool = True
    scheduled: bool = True
    frozen_share: float = 0.0


class Objective(nn.Module, ABC):
    """A loss over views, with the heads that it needs.

    The harness trains every parameter of the module, so ``self.encoder = encoder`` makes the encoder
    learn. Buffers and parameters are checkpointed; randomness comes from torch's own generator, which
    the harness seeds anew at every step.

    Attributes:
        view_requests: the views that ``loss`` expects, in order.
        weights: weight of each term of the loss; a term that is not named weighs 1.
        min_batch: samples in the smallest batch that every term learns from; a loss that compares them needs
            two.
        needs_mask: whether it hides parts of images, so that an encoder has to take masks.
        needs_classes: whether it learns from the class of each voxel, so that views have to read a label.
        patch_multiple: edges of views are multiples of so many voxels (blocks that are hidden, say).
        parameter_groups: what is not trained like the rest; optimiser and schedule are the benchmark file's.
        encoder: the encoder that is trained.
    """

    view_requests: Sequence[ViewRequest] = (ViewRequest(), ViewRequest())
    weights: Mapping[str, float] = {}
    min_batch: int = 1
    needs_mask: bool = False
    needs_classes: bool = False
    patch_multiple: int = 1
    parameter_groups: Sequence[ParameterGroup] = ()
    encoder: Encoder

    @abstractmethod
    def loss(self, views: list[View], step: int, total_steps: int) -> dict[str, Tensor]:
        """Return the named scalar terms of the loss for one batch of views."""

    def after_step(self, step: int, total_steps: int) -> None:
        """Update teachers and queues after the optimiser's step."""

    def exported_encoder(self) -> Encoder:
        """Return the encoder that downstream tasks get (the student's, or the teacher's)."""
        return self.encoder

    def exported_modules(self) -> Mapping[str, nn.Module]:
        """Return what else is handed over, by what it is: ``decoder``, to the decoders of tasks.

        Arms with ``+decoder`` start from it; it is thrown away otherwise.
        """
        return {}

    def chance_losses(self, batch_size: int) -> dict[str, float]:
        """Return what a collapsed encoder scores, for the terms where that is known."""
        del batch_size
        return {}
