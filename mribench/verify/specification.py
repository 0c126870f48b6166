"""What ``job.json`` must say, so that a job can be checked and run again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from mribench.errors import StoreError
from mribench.plan.stale import specification
from mribench.results import Store


class _Component(BaseModel):
    name: str


class _Source(_Component):
    distribution: str
    source: str


class _Entry(_Source):
    kind: str
    parts: dict[str, _Entry] = {}


class _Content(BaseModel):
    results: int
    entries: list[_Entry] = []
    data: _Source | None = None
    fingerprints: dict[str, str] = {}


class _Common(BaseModel):
    profile: str
    cohort: str
    data: _Component
    encoder: _Component | None
    seed: int | None
    split_digest: str | None


class _Pretrain(_Common):
    train: list[str]
    held_out: list[str]
    views: _Component
    objective: _Component
    pretrain: dict[str, Any]


class _Downstream(_Common):
    pretrain: str | None
    arm: str
    task: _Component


class _Adapt(_Downstream):
    train: list[str]
    validation: list[str]
    sequence: str
    adapt: dict[str, Any]


class _Evaluate(_Downstream):
    subjects: list[str]
    cell: dict[str, Any]
    adapt: str | None
    adapt_options: dict[str, Any]


class _Embed(_Common):
    pretrain: str | None
    subjects: list[str]
    sequences: list[str]
    cell: dict[str, Any]
    patch_vox: int = Field(gt=0)
    spacing_mm: float | None


_PAYLOADS: dict[str, type[BaseModel]] = {
    "pretrain": _Pretrain,
    "adapt": _Adapt,
    "evaluate": _Evaluate,
    "embed": _Embed,
}


class _Specification(BaseModel):
    id: str
    kind: Literal["pretrain", "adapt", "evaluate", "embed"]
    payload: dict[str, Any]
    content: _Content | None = None


def read_specification(store: Store, key: str) -> dict[str, Any]:
    """Return what ``job.json`` of a job says, with all parts that its kind of job needs.

    Options of components and of training are left to those whose they are.

    Raises:
        StoreError: when it is not there, or not the specification of a job; names the part.
    """
    found = specification(store, key)
    if not found.get("content"):  # an older mribench recorded none
        found = {name: value for name, value in found.items() if name != "content"}
    place: tuple[str | int, ...] = ()
    try:
        _Specification.model_validate(found)
        place = ("payload",)
        _PAYLOADS[found["kind"]].model_validate(found["payload"])
    except ValidationError as error:
        wrong = ".".join(map(str, (*place, *error.errors()[0]["loc"])))
        path = store.directory(key) / "job.json"
        raise StoreError(
            f"{path} is not the specification of a job: {wrong} is missing, or of another form",
            "restore the file, or delete its folder",
        ) from error
    return found
