"""The leakage gate: nobody who is tested was pretrained or trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mribench.config import ResolvedBenchmark
from mribench.digests import digest_of
from mribench.errors import LeakageError
from mribench.plan.cohorts import Cohort
from mribench.wording import count, list_some

_SHOWN = 5
"""People that a sentence names."""
_WEIGHTS = "the pretraining of the weights of {}"


def split_digest(groups: Mapping[str, Iterable[str]]) -> str:
    """Return a digest of who is in which group."""
    return digest_of({name: sorted(ids) for name, ids in groups.items()}, length=16)


def check_leakage(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> list[str]:
    """Compare the people that a model learnt from with those it is tested on, for every task and method.

    A person is a (namespace, name) and its aliases, over datasets, sessions and sequences, and whoever has
    an image of the same voxels. A decoder learns from its own task's cohort and, through the encoder, from
    the pretraining cohorts. An encoder whose invariance is measured must not have seen those people either.

    Returns:
        One sentence for each overlap that a split rule was told to make, by the name of that defect, and for
        each method whose weights were learnt from people whom no cohort here has.

    Raises:
        LeakageError: naming the people, and where they stand.
    """
    notes: list[str] = _note_strangers(resolved, cohorts)
    _refuse_named(resolved, cohorts)
    pretrained = _pretrained_on(resolved, cohorts)
    for name in dict.fromkeys(task.spec.data for task in resolved.tasks.values()):
        notes += _refuse({**pretrained, **_trained_on(cohorts[name])}, cohorts[name])
    for name in resolved.config.invariance:
        notes += _refuse(pretrained, cohorts[name])
    return list(dict.fromkeys(notes))


def _refuse_named(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> None:
    """Raise for people who are tested and whom a method names among those its weights were learnt from."""
    tested = {task.spec.data for task in resolved.tasks.values()} | set(resolved.config.invariance)
    for name, method in resolved.methods.items():
        learnt = {_fold(person) for person in (method.weights.people if method.weights else ())}
        for cohort in (cohorts[cohort_name] for cohort_name in sorted(tested)):
            ids = [i for people in (cohort.split.test.values() if cohort.split else ()) for i in people]
            both = sorted(i for i in ids if learnt.intersection(_names(cohort, i)))
            if both:
                who = _count(both, _WEIGHTS.format(name))
                raise LeakageError(
                    f"{who} also in the test set of {cohort.name}: {list_some(both, _SHOWN)}",
                    "test on other subjects, or take weights that were learnt from others",
                )


def _note_strangers(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> list[str]:
    """Say who is named by a name that nobody here has: somebody else, or a slip that hides a leak."""
    if any(cohort.split is None for cohort in cohorts.values()):
        return []  # whose people are not known yet
    known = {name for cohort in cohorts.values() for i in cohort.subjects for name in _names(cohort, i)}
    example = next((i for cohort in cohorts.values() for i in cohort.subjects), None)
    notes = []
    for name, method in resolved.methods.items():
        people = method.weights.people if method.weights else ()
        strangers = [person for person in people if _fold(person) not in known]
        if strangers:
            notes.append(
                f"methods.{name}.weights.pretrained_on: no cohort here has {list_some(strangers, _SHOWN)};"
                f" people are named as {example}"
            )
    return notes


_People = Mapping[str, tuple[Cohort, tuple[str, ...]]]


def _refuse(learnt_from: _People, tested: Cohort) -> list[str]:
    """Raise for people who are learnt from and tested, unless the cohort's own split says that it leaks."""
    notes = []
    for site, ids in (tested.split.test if tested.split else {}).items():
        test = f"the test set of {tested.name} ({site})"
        for where, (cohort, learnt) in learnt_from.items():
            sentence = _same_names(where, cohort, learnt, test, tested, ids)
            sentence = sentence or _same_voxels(where, cohort, learnt, test, tested, ids)
            if not sentence:
                continue
            if cohort is not tested or not (tested.split and tested.split.leaks):
                raise LeakageError(
                    sentence,
                    "give pretraining, training and test other subjects, in 'splits' or by other cohorts; of"
                    " one person under two names leave one out ('exclude'), or say so ('aliases'); of two"
                    " people of one name give their cohorts each a 'namespace'; an image that is nobody's, as"
                    " a template in each subject's folder, leave out by its name ('exclude')",
                )
            notes.append(f"leakage, as asked for: {sentence}")
    return notes


def _same_names(
    where: str, cohort: Cohort, learnt: tuple[str, ...], test: str, tested: Cohort, ids: tuple[str, ...]
) -> str:
    """Say who is learnt from and tested by any of their names, or nothing."""
    seen = {name for i in learnt for name in _names(cohort, i)}
    both = sorted(i for i in ids if seen.intersection(_names(tested, i)))
    return f"{_count(both, where)} also in {test}: {list_some(both, _SHOWN)}" if both else ""


def _same_voxels(
    where: str, cohort: Cohort, learnt: tuple[str, ...], test: str, tested: Cohort, ids: tuple[str, ...]
) -> str:
    """Say whose scans are learnt from and tested under two names, or nothing."""
    seen = {digest: (i, path) for i in learnt for digest, path in cohort.voxels.get(i, {}).items()}
    both = []
    for i in sorted(ids):
        shared = [digest for digest in tested.voxels.get(i, {}) if digest in seen]
        if shared:
            other, path = seen[shared[0]]
            both.append(f"{i} is {other} (the same image: {tested.voxels[i][shared[0]]}, {path})")
    if not both:
        return ""
    return f"{_count(both, where)} also in {test}, under another name: {list_some(both, _SHOWN)}"


def _count(people: Sequence[str], where: str) -> str:
    return f"{count(len(people), 'subject')} of {where} {'is' if len(people) == 1 else 'are'}"


def _names(cohort: Cohort, subject: str) -> tuple[str, ...]:
    """Return all names of a person, as people mean them: without regard to case and outer spaces."""
    return tuple(_fold(name) for name in (subject, *cohort.subjects[subject].aliases))


def _fold(name: str) -> str:
    return ":".join(part.strip().casefold() for part in name.split(":", 1))


def _pretrained_on(resolved: ResolvedBenchmark, cohorts: Mapping[str, Cohort]) -> _People:
    found: dict[str, tuple[Cohort, tuple[str, ...]]] = {}
    for pretraining in resolved.pretrained().values():
        for cohort in (cohorts[source.cohort] for source in pretraining.options.data):
            if cohort.split is not None:
                ids = cohort.split.train + cohort.split.validation
                found[f"pretraining ({cohort.name})"] = (cohort, ids)
    for name, method in resolved.methods.items():
        for cohort_name in method.weights.cohorts if method.weights else ():
            cohort = cohorts[cohort_name]
            found[f"{_WEIGHTS.format(name)} ({cohort_name})"] = (
                cohort,
                tuple(cohort.subjects),
            )
    return found


def _trained_on(cohort: Cohort) -> _People:
    if cohort.split is None:
        return {}
    return {
        f"the training set of {cohort.name}": (cohort, cohort.split.train),
        f"the validation set of {cohort.name}": (cohort, cohort.split.validation),
    }
