"""Linear decodability: can a linear classifier read the sequence, or the site, off the embeddings?

A linear probe (Alain and Bengio 2016, doi:10.48550/arXiv.1610.01644) is trained on some subjects and asked
about others; lower is more invariant, and chance is the best that an invariant encoder gets.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mribench.jobs.invariance import COINCIDE, Embedded, MeasuredInvariance, not_measurable
from mribench.results.measures import DECODE_SEQUENCE, DECODE_SITE

MAX_FOLDS = 5
MIN_SUBJECTS = 3
"""Subjects that each class needs: one to be asked about, two to learn from."""
PENALTY_C = 1.0
"""Inverse strength of the L2 penalty; fixed, so that no method is tuned."""
_MAX_ITERATIONS = 10_000


def decode_sequence(embedded: Embedded, fold_seed: int) -> list[MeasuredInvariance]:
    """Return ``decode:sequence``: for the whole set, and each subject's share of scans that were read right.

    The set's value is the balanced accuracy (mean recall over sequences) over all scans, each predicted by
    a classifier that saw no scan of its subject: logistic regression, L2 penalty with C = 1, on embeddings
    standardised on the training subjects; up to 5 folds of whole subjects. Chance is 1 / sequences.

    Args:
        embedded: the scans.
        fold_seed: shuffles the subjects; the same folds for every method make the comparison paired.
    """
    scans = embedded.in_order()
    reason = unfit(scans, scans.sequence)
    if reason:
        return [not_measurable(DECODE_SEQUENCE, reason)]
    predicted = predict(scans, scans.sequence, fold_seed)
    value = float(balanced_accuracy_score(scans.sequence, predicted))
    chance = 1 / len(np.unique(scans.sequence))
    return _findings(DECODE_SEQUENCE, scans, predicted == scans.sequence, value, chance)


def decode_site(embedded: Embedded, fold_seed: int) -> list[MeasuredInvariance]:
    """Return ``decode:site``: as ``decode:sequence``, of sites.

    Within each sequence apart, and the mean over the sequences: across sequences a classifier could read
    which sequences a site has. Sequences in which sites cannot be told apart by subject (one site only, a
    site with too few subjects) are left out and named in ``reason``.
    """
    parts, right, values, chances, reasons = [], [], [], [], []
    scans = embedded.in_order()
    for sequence in np.unique(scans.sequence):
        part = scans.at(scans.sequence == sequence)
        reason = unfit(part, part.site)
        if reason:
            reasons.append(f"{sequence}: {reason}")
            continue
        predicted = predict(part, part.site, fold_seed)
        values.append(float(balanced_accuracy_score(part.site, predicted)))
        chances.append(1 / len(np.unique(part.site)))
        right.append(predicted == part.site)
        parts.append(scans.sequence == sequence)
    if not values:
        return [not_measurable(DECODE_SITE, "; ".join(reasons) or "no scans")]
    used = np.any(parts, axis=0)
    correct = np.zeros(len(scans), dtype=bool)
    for mask, answers in zip(parts, right, strict=True):
        correct[mask] = answers
    value, chance = float(np.mean(values)), float(np.mean(chances))
    left_out = f"left out: {'; '.join(reasons)}" if reasons else ""
    return _findings(DECODE_SITE, scans.at(used), correct[used], value, chance, left_out)


def unfit(embedded: Embedded, labels: np.ndarray) -> str:
    """Return why labels ``(N,)`` cannot be decoded from embeddings, or an empty string."""
    classes = np.unique(labels)
    if len(classes) < 2:
        return f"one class only ({classes[0]})" if len(classes) else "no scans"
    for name in classes:
        people = len(np.unique(embedded.subject[labels == name]))
        if people < MIN_SUBJECTS:
            return f"{people} subject{'s' if people > 1 else ''} of class {name}, {MIN_SUBJECTS} are needed"
    return COINCIDE if embedded.coincide() else ""


def predict(embedded: Embedded, labels: np.ndarray, fold_seed: int) -> np.ndarray:
    """Return the label ``(N,)`` of each scan as a classifier reads it that saw none of its subject's scans.

    Args:
        embedded: the scans.
        labels: ``(N,)``, fit to be decoded by ``unfit``.
        fold_seed: shuffles the subjects.
    """
    smallest = min(len(np.unique(embedded.subject[labels == name])) for name in np.unique(labels))
    folds = StratifiedGroupKFold(min(MAX_FOLDS, smallest), shuffle=True, random_state=fold_seed)
    predicted = np.empty_like(labels)
    for train, test in folds.split(embedded.values, labels, groups=embedded.subject):
        predicted[test] = _fitted(embedded.values[train], labels[train], embedded.values[test])
    return predicted


def _fitted(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    if len(np.unique(labels)) == 1:
        return np.full(len(test), labels[0])  # the subjects of all other classes are in one fold
    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY_C, max_iter=_MAX_ITERATIONS))
    predicted: np.ndarray = model.fit(train, labels).predict(test)
    return predicted


def _findings(
    measure: str, scans: Embedded, right: np.ndarray, value: float, chance: float, reason: str = ""
) -> list[MeasuredInvariance]:
    subjects = np.unique(scans.subject).tolist()
    whole = MeasuredInvariance(measure, "", value, chance, len(scans), len(subjects), reason=reason)
    shares = ((subject, right[scans.subject == subject]) for subject in subjects)
    return [
        whole,
        *(
            MeasuredInvariance(measure, subject, float(own.mean()), chance, len(own))
            for subject, own in shares
        ),
    ]
