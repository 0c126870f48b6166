"""Known defects of the seed paper's released code: named, so that each can be switched on and measured.

The harness reproduces those below; plugins name those of their own entries (``Entry.defects``). Numbers of
lines are those of the released code at commit 53c6682.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from mribench.arms import TRAINED_ARMS
from mribench.errors import ConfigError, did_you_mean
from mribench.interfaces.entry import Defect, EmptyMaskPolicy

Stage = Literal["pretrain", "adapt", "evaluate", "report"]
"""What a defect of the harness changes: jobs of a kind, or only what is made of their results."""

FROZEN_AUGMENTATION = "frozen-augmentation"
ACTIVE_DROPOUT = "active-dropout"
ENCODER_CLIPPING = "encoder-clipping"
UNPAIRED_NOISE = "unpaired-noise"
POOLED_ROWS = "pooled-rows"

_HARNESS: tuple[tuple[Defect, tuple[Stage, ...]], ...] = (
    (
        Defect(
            FROZEN_AUGMENTATION,
            "eight loader processes replay the same random numbers in every pass over the data, so few "
            "distinct patches are ever seen",
            "class-level random state of MONAI forked into plain torch workers",
        ),
        ("pretrain", "adapt"),
    ),
    (
        Defect(
            ACTIVE_DROPOUT,
            "dropout stays active in the frozen encoder while a decoder is trained on it",
            "training scripts",
        ),
        ("adapt",),
    ),
    (
        Defect(
            ENCODER_CLIPPING,
            "the gradient norm of the encoder alone is clipped, not that of all trained parameters",
            "training scripts",
        ),
        ("pretrain", "adapt"),
    ),
    (
        Defect(
            UNPAIRED_NOISE,
            "test noise is not seeded, so every method is tested on other noise",
            "test scripts",
        ),
        ("evaluate",),
    ),
    (
        Defect(
            POOLED_ROWS,
            "a test over the rows of one seed, labels of one subject taken as independent, is read as a "
            "test of methods",
            "no seeds; Table 1 pools three tissues of a subject",
        ),
        ("report",),
    ),
)

HARNESS: Mapping[str, tuple[Defect, tuple[Stage, ...]]] = {
    defect.name: (defect, stages) for defect, stages in _HARNESS
}
"""Defects of the harness by name, with what they change."""


def known_defects(of_plugins: Iterable[Defect]) -> dict[str, Defect]:
    """Return every known defect by name: the harness's, then those of the plugins' entries."""
    known = {name: defect for name, (defect, _) in HARNESS.items()}
    for defect in of_plugins:
        known.setdefault(defect.name, defect)
    return known


def check_defects(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Refuse a name that nobody knows.

    Args:
        names: as a benchmark file has them.
        known: the names that there are.
        where: place of the names in the file, for the message.

    Raises:
        ConfigError: with the closest known name.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: there is no defect '{name}'", did_you_mean(name, known))


def only_reported(defect: Defect) -> bool:
    """Return whether a defect changes no job, but only what is made of their results."""
    if defect.metrics or defect.empty_masks:
        return True
    return defect.name in HARNESS and HARNESS[defect.name][1] == ("report",)


def empty_mask_policy(defects: Iterable[Defect]) -> EmptyMaskPolicy | None:
    """Return how empty masks count under some defects; None for the metrics' own penalties.

    Of several policies the one that leaves out least holds.
    """
    policies = [defect.empty_masks for defect in defects if defect.empty_masks]
    return min(policies, key=lambda policy: (policy.prediction, policy.reference).count(None), default=None)


def at(stage: str, names: Collection[str], arm: str | None = None) -> list[str]:
    """Return those of the named defects that the harness shows at a stage, sorted.

    Args:
        stage: ``pretrain``, ``adapt``, ``evaluate`` or ``report``.
        names: of defects that are switched on.
        arm: what is done with the encoder, where that is known: an encoder that is trained has its dropout
            by right.
    """
    trained = arm in TRAINED_ARMS
    return sorted(
        name
        for name in names
        if name in HARNESS and stage in HARNESS[name][1] and not (name == ACTIVE_DROPOUT and trained)
    )
