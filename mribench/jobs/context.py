"""What a job is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor

from mribench.data.prepare import Reader, identify_reading
from mribench.interfaces.dataset import Dataset
from mribench.interfaces.options import Component, DatasetRef
from mribench.jobs.shared import Shared
from mribench.registry import Registry, Resolved
from mribench.results.atomic import ReplaceFile, replace_file
from mribench.results.records import JobRow, ScoreRow
from mribench.results.store import CHECKPOINT
from mribench.training import Checkpoint


@dataclass(frozen=True)
class Context:
    """A running job's surroundings.

    Attributes:
        registry: all entries.
        directory: the job's folder.
        jobs: the folder of all jobs' folders.
        device: where to compute.
        tick: called with (steps done, steps in all); raises ``Interrupted`` when the job must stop.
        checkpoint_every_s: seconds between checkpoints.
        watch: called once with the list that the rows of a training are appended to, for who tracks it.
        replace: puts a file into the job's folder in one step, as ``replace_file``.
        shared: what the jobs before it in the same batch made.
        window_parts: parts in which the windows of a volume pass the network that else pass it at a time.
    """

    registry: Registry
    directory: Path
    jobs: Path
    device: torch.device
    tick: Callable[[int, int], None]
    checkpoint_every_s: float
    watch: Callable[[list[dict[str, float]]], None] = lambda _: None
    replace: ReplaceFile = replace_file
    shared: Shared = field(default_factory=Shared)
    window_parts: int = 1

    def checkpoint(self) -> Checkpoint:
        """Return where the state of the job is kept while it runs."""
        return Checkpoint(self.directory / CHECKPOINT, self.checkpoint_every_s, self.replace)

    def make(self, component: Component, profile: str, *args: Any) -> Any:
        """Build a component of what a job is asked."""
        return self.resolve(component, profile).make(*args)

    def resolve(self, component: Component, profile: str) -> Resolved:
        """Find a component of what a job is asked."""
        where = f"{self.directory.name}/job.json: {component.kind}"
        return self.registry.resolve(component, where, profile)

    def open_reader(self, data: DatasetRef, profile: str) -> Reader:
        """Return the dataset of a job, whose folder is looked through once in a batch."""
        resolved = self.resolve(data, profile)
        asked = ["dataset", profile, data.model_dump(mode="json")]
        dataset: Dataset = self.shared.take(asked, resolved.make)
        self.shared.give_back(asked, dataset)
        return Reader(dataset, identify_reading(resolved.identity(), dataset, resolved.options))


@dataclass
class Outcome:
    """What a job leaves behind.

    Attributes:
        job: columns of the job row that the kind of job knows.
        scores: score rows.
        weights: safetensors files by name.
        history: loss terms by step.
        tables: rows and schema of further Parquet files, by file name.
        files: pictures of people's scans by name, kept unless ``report: {examples: false}``. They are no
            results: keys, scores and ``verify`` do not know them.
        window_parts: as of the ``Context``, where windows passed a network together.
    """

    job: JobRow = field(default_factory=JobRow)
    scores: list[ScoreRow] = field(default_factory=list)
    weights: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    tables: dict[str, tuple[Sequence[Mapping[str, object]], pa.Schema]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    window_parts: int | None = None
