"""Which rows a plan has: arms of methods, reference arms, and what of them a task has cells of."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from mribench.arms import DECODER_ARMS, FROZEN_ARMS, IDENTITY, NO_IMAGE
from mribench.config import ResolvedBenchmark
from mribench.plan.parts import Arm, EncoderPart, TaskPart, find_exported_decoder


class Arms:
    """The arms of a benchmark.

    Attributes:
        encoders: of each method, by its name.
        reference: the encoder of the reference arms.
    """

    def __init__(self, resolved: ResolvedBenchmark) -> None:
        self._resolved = resolved
        self.reference = EncoderPart.of(resolved.reference_encoder, resolved.reference_wanted)
        self.encoders = {
            name: EncoderPart.of(method.encoder, method.wanted) for name, method in resolved.methods.items()
        }
        self._hands_over = functools.cache(self._find_hand_over)

    def of_task(self, task: TaskPart, notes: list[str]) -> Iterator[Arm]:
        """Yield the arms that a task has cells of; note which it has not, and why."""
        without: dict[str, list[str]] = {}
        for arm in self._all():
            reason = self._find_obstacle(task, arm)
            if reason:
                without.setdefault(reason, []).append(arm.arm)
            else:
                yield arm
        if task.about_people and NO_IMAGE in self._resolved.config.reference_arms:
            yield Arm(NO_IMAGE, NO_IMAGE, self.reference)
        for reason, arms in without.items():
            names = ", ".join(dict.fromkeys(arms))
            notes.append(f"{task.name}: {reason}, so it has no {names} cells")

    def of_embeddings(self) -> Iterator[Arm]:
        """Yield each encoder that is looked at as it is: the methods', and random ones if there are any."""
        for name, method in self._resolved.methods.items():
            yield Arm(name, "frozen", self.encoders[name], method)
        if "random-frozen" in self._resolved.config.reference_arms:
            yield from self._references("random-frozen")

    def _all(self) -> Iterator[Arm]:
        for arm in self._resolved.config.arms:
            for name, method in self._resolved.methods.items():
                yield Arm(name, arm, self.encoders[name], method)
        for reference in self._resolved.config.reference_arms:
            if reference not in (IDENTITY, NO_IMAGE):
                yield from self._references(reference)

    def _references(self, reference: str) -> Iterator[Arm]:
        """Yield a reference arm for the default encoder, and for each other one, or other input, once."""
        yield Arm(reference, reference, self.reference)
        seen = [self.reference]
        for name, encoder in self.encoders.items():
            if encoder not in seen:
                seen.append(encoder)
                yield Arm(name, reference, encoder)

    def _find_obstacle(self, task: TaskPart, arm: Arm) -> str:
        """Return why a task has no cell of an arm, or an empty string."""
        if task.has_probe and arm.arm not in FROZEN_ARMS:
            return "its probe is fitted on frozen encoders"
        if arm.arm not in DECODER_ARMS:
            return ""
        if not task.takes_decoder:
            return "it has no decoder that could be pretrained"
        return "" if self._hands_over(arm.name) else f"'{arm.name}' hands over no decoder"

    def _find_hand_over(self, method: str) -> bool:
        return find_exported_decoder(self._resolved.methods[method]) is not None
