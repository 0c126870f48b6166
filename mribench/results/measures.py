"""The invariance measures of embeddings: what they are called, and how tables show them."""

from __future__ import annotations

from dataclasses import dataclass

WITHIN = "similarity:within"
BETWEEN = "similarity:between"
MARGIN = "similarity:margin"
RETRIEVAL = "retrieval:cross-sequence"
DECODE_SEQUENCE = "decode:sequence"
DECODE_SITE = "decode:site"
EFFECTIVE_RANK = "effective-rank"
EMBEDDING_SD = "embedding-sd"


@dataclass(frozen=True)
class Measure:
    """A measure, as tables need it.

    Attributes:
        id: its name in the records.
        higher_is_better: the direction; None where there is none.
        per_subject: whether it has a value for each subject, or one for the whole set only.
        share: whether it is a share of 1, shown in per cent.
        summary: what it says, for captions.
    """

    id: str
    higher_is_better: bool | None
    per_subject: bool
    share: bool
    summary: str


MEASURES = {
    measure.id: measure
    for measure in (
        Measure(WITHIN, True, True, False, "cosine between sequences of one subject"),
        Measure(BETWEEN, False, True, False, "cosine between subjects of one sequence and site"),
        Measure(MARGIN, True, True, False, "within minus between"),
        Measure(
            RETRIEVAL, True, True, True,
            "nearest scan of another sequence at the same site is the same subject's",
        ),
        Measure(DECODE_SEQUENCE, False, False, True, "balanced accuracy of a linear classifier of sequence"),
        Measure(
            DECODE_SITE, False, False, True,
            "balanced accuracy of a linear classifier of site within a sequence, averaged over sequences",
        ),
        Measure(EFFECTIVE_RANK, True, False, False, "dimensions in use"),
        Measure(EMBEDDING_SD, None, False, False, "mean standard deviation of a dimension"),
    )
}  # fmt: skip
"""All measures by id, in the order of tables."""
