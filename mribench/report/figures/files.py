"""Reads what jobs leave beside their rows: embeddings, histories, example slices, views."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

EXAMPLE = "example.npz"
VIEWS = "views.npz"


@dataclass(frozen=True)
class Example:
    """A slice of an evaluate job: input, reference and prediction ``(rows, columns)`` uint8.

    Attributes:
        input: grey values.
        reference: grey values, or classes.
        prediction: as ``reference``.
        classes: whether the last two are classes.
        aspect: height / width of a pixel.
        subject: whose.
        sequence: which.
    """

    input: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    classes: bool
    aspect: float
    subject: str
    sequence: str


def read_example(directory: Path, key: str) -> Example | None:
    """Return the example of a job; None where there is none, or it is damaged: it is only a picture."""
    try:
        content = (directory / "jobs" / key / EXAMPLE).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            height, width = arrays["pixel_mm"]
            example = Example(
                arrays["input"], arrays["reference"], arrays["prediction"], bool(arrays["classes"]),
                float(height / width), str(arrays["subject"]), str(arrays["sequence"]),
            )  # fmt: skip
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    shapes = {plane.shape for plane in (example.input, example.reference, example.prediction)}
    return example if len(shapes) == 1 and len(next(iter(shapes))) == 2 and example.input.size else None


@dataclass(frozen=True)
class Views:
    """Slices of the first views of a pretrain job.

    Attributes:
        planes: by view, ``(samples, rows, columns)`` uint8.
        sequences: by sample and view.
        subjects: by sample.
    """

    planes: tuple[np.ndarray, ...]
    sequences: tuple[tuple[str, ...], ...]
    subjects: tuple[str, ...]


def read_views(directory: Path, key: str) -> Views | None:
    """Return the views of a job; None where there are none, or they are damaged: it is only a picture."""
    try:
        content = (directory / "jobs" / key / VIEWS).read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            sequences = tuple(tuple(map(str, row)) for row in arrays["sequences"])
            subjects = tuple(map(str, arrays["subjects"]))
            planes = tuple(arrays[f"view{number}"] for number in range(len(arrays["pixel_mm"])))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    whole = planes and all(plane.ndim == 3 and plane.size and len(plane) == len(subjects) for plane in planes)
    named = len(sequences) == len(subjects) and all(len(row) == len(planes) for row in sequences)
    return Views(planes, sequences, subjects) if whole and named else None


def read_parquet(directory: Path, key: str, name: str) -> pd.DataFrame:
    """Return a Parquet file of a job; an empty frame where it is not there or damaged."""
    try:
        return pq.read_table(directory / "jobs" / key / name).to_pandas()
    except (OSError, pa.ArrowException):
        return pd.DataFrame()
