"""What crosses the plugin boundary: base classes, frozen dataclasses and options.

Names are imported on first use, so that reading results needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mribench.interfaces.dataset import Dataset, Exclusion, Scan, ScanValues, Subject
    from mribench.interfaces.encoder import Decoder, Encoder
    from mribench.interfaces.entry import KINDS, Defect, Entry
    from mribench.interfaces.executor import Completed, Executor, Resources
    from mribench.interfaces.input_file import InputFile
    from mribench.interfaces.metric import Metric, Score, ScoreStatus, SetMetric
    from mribench.interfaces.objective import Objective
    from mribench.interfaces.options import (
        Component,
        DatasetRef,
        DecoderRef,
        EncoderRef,
        MetricRef,
        NoOptions,
        ObjectiveRef,
        Options,
        Profile,
        ProtocolOptions,
        SequenceRef,
        SplitRef,
        TaskRef,
        ViewsRef,
    )
    from mribench.interfaces.split import Split, SplitRule
    from mribench.interfaces.task import Forward, LabelScore, Task, TaskVolume
    from mribench.interfaces.tracker import JobOutcome, Logged, TrackedJob, TrackedRun, Tracker
    from mribench.interfaces.views import MRISequence, View, ViewGenerator, ViewRequest

_HOMES = {
    "dataset": ("Dataset", "Exclusion", "Scan", "ScanValues", "Subject"),
    "encoder": ("Decoder", "Encoder"),
    "entry": ("KINDS", "Defect", "Entry"),
    "executor": ("Completed", "Executor", "Resources"),
    "input_file": ("InputFile",),
    "metric": ("Metric", "Score", "ScoreStatus", "SetMetric"),
    "objective": ("Objective",),
    "options": (
        "Component", "DatasetRef", "DecoderRef", "EncoderRef", "MetricRef", "NoOptions", "ObjectiveRef",
        "Options", "Profile", "ProtocolOptions", "SequenceRef", "SplitRef", "TaskRef", "ViewsRef",
    ),
    "split": ("Split", "SplitRule"),
    "task": ("Forward", "LabelScore", "Task", "TaskVolume"),
    "tracker": ("JobOutcome", "Logged", "TrackedJob", "TrackedRun", "Tracker"),
    "views": ("MRISequence", "View", "ViewGenerator", "ViewRequest"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "KINDS", "Completed", "Component", "Dataset", "DatasetRef", "Decoder", "DecoderRef", "Defect",
    "Encoder", "EncoderRef", "Entry", "Exclusion", "Executor", "Forward", "InputFile", "JobOutcome",
    "LabelScore", "Logged", "MRISequence", "Metric", "MetricRef", "NoOptions", "Objective",
    "ObjectiveRef", "Options", "Profile", "ProtocolOptions", "Resources", "Scan", "ScanValues", "Score",
    "ScoreStatus", "SequenceRef", "SetMetric", "Split", "SplitRef", "SplitRule", "Subject", "Task",
    "TaskRef", "TaskVolume", "TrackedJob", "TrackedRun", "Tracker", "View", "ViewGenerator",
    "ViewRequest", "ViewsRef",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mribench.interfaces' has no attribute '{name}'")
    return getattr(importlib.import_module(f"mribench.interfaces.{_HOME_OF[name]}"), name)
