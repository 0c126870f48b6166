"""The leakage gate: nobody who is tested was pretrained or trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from mribench.config import ResolvedBenchmark
from mribench.errors import LeakageError
from mribench.plan.cohorts import Cohort


def split_digest(groups: Mapping[str, Iterable[str]]) -> str:
    """Return a digest of who is in which group."""
    text = json.dumps({name: sorted(ids) for name, ids in groups.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_leakage(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> None:
    """Compare the people of pretraining, training and validation with those of every test set.

    A person is a (namespace, name) and its aliases, over datasets, sessions and sequences.

    Raises:
        LeakageError: naming the people, and where they stand.
    """
    tested = _tested(resolved, cohorts)
    for where, (cohort, ids) in _learnt_from(resolved, cohorts).items():
        seen = {name for i in ids for name in _names(cohort, i)}
        for test, (other, tested_ids) in tested.items():
            both = sorted(i for i in tested_ids if seen.intersection(_names(other, i)))
            if both:
                names = ", ".join(both[:5]) + (f" and {len(both) - 5} more" if len(both) > 5 else "")
                raise LeakageError(
                    f"{len(both)} subject(s) of {where} are also in {test}: {names}",
                    "give pretraining, training and test other subjects, in 'splits' or by other cohorts",
                )


def _names(cohort: Cohort, subject: str) -> tuple[str, ...]:
    """Return all names of a person."""
    return (subject, *cohort.subjects[subject].aliases)


def _tested(
    resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]
) -> dict[str, tuple[Cohort, tuple[str, ...]]]:
    found: dict[str, tuple[Cohort, tuple[str, ...]]] = {}
    for name in dict.fromkeys(task.spec.data for task in resolved.tasks.values()):
        split = cohorts[name].split
        if split is not None:
            for site, ids in split.test.items():
                found[f"the test set of {name} ({site})"] = (cohorts[name], tuple(ids))
    return found


def _learnt_from(
    resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]
) -> dict[str, tuple[Cohort, tuple[str, ...]]]:
    found: dict[str, tuple[Cohort, tuple[str, ...]]] = {}
    for method in resolved.methods.values():
        cohort = cohorts[method.pretrain.data]
        if cohort.split is not None:
            ids = cohort.split.train + cohort.split.validation
            found[f"pretraining ({cohort.name})"] = (cohort, ids)
    for task in resolved.tasks.values():
        cohort = cohorts[task.spec.data]
        if cohort.split is not None:
            found[f"the training set of {cohort.name}"] = (cohort, cohort.split.train)
            found[f"the validation set of {cohort.name}"] = (cohort, cohort.split.validation)
    return found
