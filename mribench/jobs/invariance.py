"""Invariance measures of embeddings: is a subject itself, whatever it was scanned with? No sklearn, no torch.

One embedding per scan, with its subject, site, sequence and session. The cosines are those of embeddings
centred by their mean over all scans: the raw ones of pooled activations are near 1 for any encoder, because
their common mean dwarfs what tells scans apart (Mu and Viswanath 2018, doi:10.48550/arXiv.1702.01417).

An encoder that maps everything to one point is invariant to everything and of no use: read the measures of
invariance beside retrieval and effective rank, which such an encoder fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from mribench.results.measures import (
    BETWEEN,
    EFFECTIVE_RANK,
    EMBEDDING_SD,
    MARGIN,
    MEASURES,
    RETRIEVAL,
    WITHIN,
)

COINCIDE = "all embeddings coincide"
_COINCIDE_RELATIVE = 1e-6
_TIE = 1e-9

Status = Literal["ok", "not-measurable", "failed"]
"""``failed``: a scan that the measure needs could not be embedded."""


@dataclass(frozen=True)
class MeasuredInvariance:
    """One value of one measure.

    Attributes:
        measure: id of the measure.
        subject: whose value it is; empty for the whole set.
        value: NaN where it cannot be measured.
        chance: what embeddings that know nothing of the subject (retrieval, margin) or of the label
            (decoding) are expected to reach; NaN where no such value is known.
        n: what the value is a mean over: pairs (similarity), queries (retrieval), scans (all others).
        n_subjects: subjects behind it.
        status: whether it could be measured.
        reason: why not; or what was left out.
    """

    measure: str
    subject: str
    value: float
    chance: float = math.nan
    n: int = 0
    n_subjects: int = 1
    status: Status = "ok"
    reason: str = ""


def not_measurable(measure: str, reason: str, subject: str = "") -> MeasuredInvariance:
    """Return the finding of something that cannot be measured."""
    return MeasuredInvariance(
        measure, subject, math.nan, n_subjects=0, status="not-measurable", reason=reason
    )


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings of scans.

    Attributes:
        values: ``(N, D)``, finite; kept as float64.
        subject: subject of each scan, ``(N,)`` strings.
        site: site of each scan.
        sequence: sequence of each scan.
        session: session of each scan.

    Raises:
        ValueError: when the shapes do not fit, or a value is not finite.
    """

    values: np.ndarray
    subject: np.ndarray
    site: np.ndarray
    sequence: np.ndarray
    session: np.ndarray

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.ndim != 2:
            raise ValueError(f"expected embeddings (N, D), got shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError("expected finite embeddings")
        object.__setattr__(self, "values", values)
        for name in ("subject", "site", "sequence", "session"):
            column = np.asarray(getattr(self, name), dtype=str)
            if column.shape != (len(values),):
                raise ValueError(f"expected {len(values)} values of {name}, got shape {column.shape}")
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: np.ndarray | Sequence[int]) -> Embedded:
        """Return some of the scans, by places or by a mask ``(N,)``."""
        return Embedded(*(getattr(self, field.name)[index] for field in fields(self)))

    def in_order(self) -> Embedded:
        """Return the same scans in an order of their own, whatever order they came in."""
        keys = list(
            zip(self.subject, self.session, self.sequence, self.site, map(tuple, self.values), strict=True)
        )
        return self.at(sorted(range(len(self)), key=keys.__getitem__))

    def coincide(self) -> bool:
        """Return whether all embeddings are one point, to the precision of float32."""
        if len(self) == 0:
            return True
        spread = np.abs(self.values - self.values.mean(axis=0)).max(initial=0.0)
        return bool(spread <= _COINCIDE_RELATIVE * np.abs(self.values).max(initial=0.0))

    def cosines(self) -> np.ndarray:
        """Return the cosines ``(N, N)`` between embeddings centred by their mean over all scans.

        The cosine with an embedding that lies at the mean is 0.
        """
        centred = self.values - self.values.mean(axis=0)
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        unit = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
        return np.clip(unit @ unit.T, -1.0, 1.0)


def similarity(embedded: Embedded) -> list[MeasuredInvariance]:
    """Return ``similarity:within``, ``:between`` and ``:margin`` of each subject.

    - within: mean cosine over the pairs of the subject's scans of different sequences; of one session only,
      unless no two sequences share a session. 1: the sequence makes no difference.
    - between: for each scan of the subject the mean cosine with the other subjects' scans of the same
      sequence at the same site, averaged over the subject's scans. Sequence and site are the same in every
      pair, so what is left to tell the scans apart is the subject.
    - margin: within minus between, from -2 to 2. Chance is 0: embeddings that know neither subject, sequence
      nor site give the same for both. Negative: sequences are farther apart than subjects. It is the
      numerator of a silhouette on cosines (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7), its distances
      restricted to other sequences within and to one sequence and site between subjects.
    """
    subjects = np.unique(embedded.subject).tolist()
    if embedded.coincide():
        return [not_measurable(name, COINCIDE, s) for s in subjects for name in (WITHIN, BETWEEN, MARGIN)]
    cosines = embedded.cosines()
    findings: list[MeasuredInvariance] = []
    for subject in subjects:
        within = _within(embedded, cosines, subject)
        between = _between(embedded, cosines, subject)
        findings += [within, between, _margin(within, between)]
    return findings


def _within(embedded: Embedded, cosines: np.ndarray, subject: str) -> MeasuredInvariance:
    own = np.flatnonzero(embedded.subject == subject)
    first, second = (own[place] for place in np.triu_indices(len(own), k=1))
    crossing = embedded.sequence[first] != embedded.sequence[second]
    together = crossing & (embedded.session[first] == embedded.session[second])
    pairs = together if together.any() else crossing
    if not pairs.any():
        return not_measurable(WITHIN, "scans of one sequence only", subject)
    similarities = cosines[first[pairs], second[pairs]]
    return MeasuredInvariance(WITHIN, subject, float(similarities.mean()), n=len(similarities))


def _between(embedded: Embedded, cosines: np.ndarray, subject: str) -> MeasuredInvariance:
    means, pairs = [], 0
    others = embedded.subject != subject
    for scan in np.flatnonzero(~others).tolist():
        alike = others & _alike(embedded, scan, embedded.sequence[scan])
        if alike.any():
            means.append(float(cosines[scan, alike].mean()))
            pairs += int(alike.sum())
    if not means:
        return not_measurable(BETWEEN, "no other subject with the same sequence at the same site", subject)
    return MeasuredInvariance(BETWEEN, subject, float(np.mean(means)), n=pairs)


def _margin(within: MeasuredInvariance, between: MeasuredInvariance) -> MeasuredInvariance:
    unknown = [finding.reason for finding in (within, between) if finding.status != "ok"]
    if unknown:
        return not_measurable(MARGIN, "; ".join(unknown), within.subject)
    return MeasuredInvariance(MARGIN, within.subject, within.value - between.value, 0.0, within.n + between.n)


def retrieval(embedded: Embedded) -> list[MeasuredInvariance]:
    """Return ``retrieval:cross-sequence`` of each subject: the share of its queries that find it.

    A query is a scan and another sequence that its subject has too; its gallery are all scans of that other
    sequence at the query's site, so that neither sequence nor site is a hint. It is a hit when the scan with
    the highest cosine is the same subject's, in whatever session; of several that tie, each counts its
    share. The embeddings are centred by their mean over all scans, not per sequence: a shift between
    sequences that no method corrects is part of what is asked. Chance is the mean share of the gallery that
    is the subject's, 1/n with one scan for each of n subjects. A gallery without another subject is no
    question.
    """
    subjects = np.unique(embedded.subject).tolist()
    if embedded.coincide():
        return [not_measurable(RETRIEVAL, COINCIDE, subject) for subject in subjects]
    cosines = embedded.cosines()
    return [_retrieved(embedded, cosines, subject) for subject in subjects]


def _retrieved(embedded: Embedded, cosines: np.ndarray, subject: str) -> MeasuredInvariance:
    mine = embedded.subject == subject
    hits, chances = [], []
    for scan in np.flatnonzero(mine).tolist():
        for sequence in np.unique(embedded.sequence[mine & (embedded.sequence != embedded.sequence[scan])]):
            gallery = np.flatnonzero(_alike(embedded, scan, sequence))
            owned = mine[gallery]
            if not owned.any() or owned.all():
                continue
            nearest = cosines[scan, gallery] >= cosines[scan, gallery].max() - _TIE
            hits.append(float(owned[nearest].mean()))
            chances.append(float(owned.mean()))
    if not hits:
        reason = "no other sequence of the subject beside one of another subject at the same site"
        return not_measurable(RETRIEVAL, reason, subject)
    return MeasuredInvariance(RETRIEVAL, subject, float(np.mean(hits)), float(np.mean(chances)), len(hits))


def _alike(embedded: Embedded, scan: int, sequence: str) -> np.ndarray:
    """Return which scans are of a sequence at the site of a scan."""
    alike: np.ndarray = (embedded.sequence == sequence) & (embedded.site == embedded.site[scan])
    return alike


def spread(embedded: Embedded) -> list[MeasuredInvariance]:
    """Return ``effective-rank`` and ``embedding-sd`` of all scans.

    The effective rank is at most the smaller of N - 1 and D; the standard deviation has the scale of the
    encoder's activations, so it is compared between seeds of one encoder at most.
    """
    n, people = len(embedded), len(np.unique(embedded.subject))
    if n < 2:
        return [not_measurable(name, "fewer than 2 scans") for name in (EFFECTIVE_RANK, EMBEDDING_SD)]
    deviation = float(embedded.values.std(axis=0).mean())
    return [
        MeasuredInvariance(EFFECTIVE_RANK, "", effective_rank(embedded.values), n=n, n_subjects=people),
        MeasuredInvariance(EMBEDDING_SD, "", deviation, n=n, n_subjects=people),
    ]


def effective_rank(embeddings: np.ndarray) -> float:
    """Return the effective rank of ``(N, D)`` embeddings after centring; 1 where all coincide.

    The exponential of the entropy of the singular values (Roy and Vetterli 2007, EUSIPCO, definition 1).
    """
    return effective_rank_of(singular_values(embeddings), embeddings)


def singular_values(embeddings: np.ndarray) -> np.ndarray:
    """Return the singular values of ``(N, D)`` embeddings after centring, the largest first."""
    values: np.ndarray = np.linalg.svd(embeddings - embeddings.mean(axis=0), compute_uv=False)
    return values


def effective_rank_of(values: np.ndarray, embeddings: np.ndarray) -> float:
    """Return the effective rank of embeddings whose ``singular_values`` are known."""
    if values.sum() <= 1e-12 * max(1.0, float(np.abs(embeddings).max())):
        return 1.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def ordered(findings: Iterable[MeasuredInvariance]) -> list[MeasuredInvariance]:
    """Return findings in the order of ``MEASURES``, the whole set's before the subjects'."""
    places = {name: place for place, name in enumerate(MEASURES)}
    return sorted(findings, key=lambda finding: (places[finding.measure], finding.subject))
