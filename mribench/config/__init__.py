"""The benchmark file: YAML → validated models → components that can be made."""

from __future__ import annotations

from mribench.config.loading import blaming, load_benchmark
from mribench.config.model import (
    DEFAULT_SPLIT_RULE,
    BenchmarkConfig,
    Defaults,
    InvarianceSpec,
    MethodSpec,
    ReportSpec,
    SplitSpec,
    TaskSpec,
    config_digest,
    settings_digest,
)
from mribench.config.resolution import ResolvedBenchmark, ResolvedMethod, ResolvedTask, resolve
from mribench.config.settings import AdaptOptions, PretrainOptions

__all__ = [
    "DEFAULT_SPLIT_RULE",
    "AdaptOptions",
    "BenchmarkConfig",
    "Defaults",
    "InvarianceSpec",
    "MethodSpec",
    "PretrainOptions",
    "ReportSpec",
    "ResolvedBenchmark",
    "ResolvedMethod",
    "ResolvedTask",
    "SplitSpec",
    "TaskSpec",
    "blaming",
    "config_digest",
    "load_benchmark",
    "resolve",
    "settings_digest",
]
