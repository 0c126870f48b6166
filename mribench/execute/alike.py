"""Which jobs cost the same: time and memory of one stand for those of the others."""

from __future__ import annotations

from mribench.arms import FROZEN_ARMS, IDENTITY, NO_IMAGE
from mribench.digests import digest_of
from mribench.results.specification import JobSpec, PretrainSpec

_FREE = ("steps", "lr", "finetune_lr", "lr_factors")
"""Options of a training that a step costs the same with."""
_PEOPLE = ("train", "validation", "subjects", "covariates", "sources", "split_digest")
_NAMES = (
    "seed", "cell", "arm", "adapt_key", "pretrain_key", "trial_keys", "is_trial", "weights", "defects",
)  # fmt: skip
"""Parts of what jobs are asked in which they may differ and cost the same; whether an arm trains the encoder
is looked at apart."""


def configuration(spec: JobSpec) -> str:
    """Return a digest of what a job's cost depends on: the same for jobs that differ in people and seeds."""
    asked = spec.asked()
    parts = {name: value for name, value in asked.items() if name not in (*_PEOPLE, *_NAMES)}
    training = "pretrain" if isinstance(spec, PretrainSpec) else "adapt"
    if training in parts:
        parts[training] = {name: value for name, value in parts[training].items() if name not in _FREE}
    arm = getattr(spec, "arm", None)
    return digest_of(
        {
            "kind": spec.kind,
            "parts": parts,
            "cohorts": [read.cohort for read in spec.reads()],
            "frozen": arm in FROZEN_ARMS,
            "reference": arm if arm in (IDENTITY, NO_IMAGE) else None,
        }
    )
