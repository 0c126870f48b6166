"""Whole specifications of jobs, of which tests change what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mribench.interfaces.options import DatasetRef, EncoderRef, ObjectiveRef, TaskRef, ViewsRef
from mribench.results.cell import EmbedCell, EvaluateCell
from mribench.results.content import CohortContent, Content, DataIdentity, EntryIdentity
from mribench.results.read_cohort import TrainedCohort
from mribench.results.records import CELL_COLUMNS, EMBEDDED_COLUMNS
from mribench.results.specification import (
    AdaptSpec,
    EmbedSpec,
    EvaluateSpec,
    JobSpec,
    PretrainSpec,
    Specification,
    write_specification,
)

_COMMON: Mapping[str, Any] = {
    "profile": "corrected",
    "encoder": EncoderRef(name="net"),
    "split_digest": "abc",
}
_COHORT: Mapping[str, Any] = {"cohort": "people", "data": DatasetRef(name="folder")}
_NAMES = {
    "benchmark": "b", "profile": "corrected", "method": "m", "arm": "frozen", "dataset": "people",
    "task": "t", "test_site": "s", "test_sequence": "T1w",
}  # fmt: skip


def evaluate_cell(**changes: Any) -> EvaluateCell:
    return EvaluateCell(**{**dict.fromkeys(CELL_COLUMNS), **_NAMES, **changes})


def embed_cell(**changes: Any) -> EmbedCell:
    known = {name: _NAMES.get(name) for name in EMBEDDED_COLUMNS}
    return EmbedCell(**{**known, **changes})


def pretrain_spec(**changes: Any) -> PretrainSpec:
    usual = {
        "views": ViewsRef.model_validate({"name": "blur", "width": 1}),
        "objective": ObjectiveRef(name="same"),
        "sources": (trained_cohort(),), "pretrain": {"steps": 10, "lr": 0.1}, "seed": 0,
    }  # fmt: skip
    return PretrainSpec(**{**_COMMON, **usual, **changes})


def trained_cohort(**changes: Any) -> TrainedCohort:
    return TrainedCohort(**{**_COHORT, "train": ("p:1", "p:2"), "held_out": (), **changes})


def adapt_spec(**changes: Any) -> AdaptSpec:
    usual = {
        "task": TaskRef(name="task"), "arm": "frozen", "train": ("p:1",), "validation": (),
        "channels": ("T1w",), "adapt": {"steps": 5}, "seed": 0, "pretrain_key": "a" * 32,
    }  # fmt: skip
    return AdaptSpec(**{**_COMMON, **_COHORT, **usual, **changes})


def evaluate_spec(**changes: Any) -> EvaluateSpec:
    usual = {
        "task": TaskRef(name="task"), "subjects": ("p:3",), "adapt": {"steps": 5},
        "channels": ("T1w",), "cell": evaluate_cell(), "adapt_key": "b" * 32, "pretrain_key": "a" * 32,
    }  # fmt: skip
    return EvaluateSpec(**{**_COMMON, **_COHORT, **usual, **changes})


def embed_spec(**changes: Any) -> EmbedSpec:
    usual = {
        "subjects": ("p:3",), "sequences": ("T1w",), "patch_vox": 16, "spacing_mm": None,
        "cell": embed_cell(seed=0), "pretrain_key": None,
    }  # fmt: skip
    return EmbedSpec(**{**_COMMON, **_COHORT, **usual, **changes})


def spec_of(kind: str, **changes: Any) -> JobSpec:
    make = {"pretrain": pretrain_spec, "adapt": adapt_spec, "evaluate": evaluate_spec, "embed": embed_spec}
    return make[kind](**changes)


def entry(**changes: Any) -> EntryIdentity:
    inner = EntryIdentity("metric", "far", "other", "2" * 64)
    usual = EntryIdentity("views", "blur", "mribench", "1" * 64, {}, {"inner": inner})
    return replace(usual, **changes)


def content(**changes: Any) -> Content:
    data = changes.pop("data", DataIdentity("folder", "mribench", "3" * 64, {"repair": True}))
    prints = changes.pop("fingerprints", {"p:1": "a", "p:2": "b"})
    usual = {"results": 1, "entries": (entry(),), "cohorts": (CohortContent(data, prints),)}
    return Content(**{**usual, **changes})


def keep(folder: Path, spec: JobSpec, name: str = "a/job", made_of: Content | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_specification(folder, Specification(id=name, spec=spec, content=made_of or content()))
