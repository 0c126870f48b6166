"""The benchmark file: from YAML to validated settings to components that can be made.

Which jobs follow from it lies in ``plan``.
"""

from __future__ import annotations

from mribench.config.digest import digest_config, digest_settings
from mribench.config.execution import ExecutionSpec
from mribench.config.loading import blame_settings, load_benchmark
from mribench.config.model import BenchmarkConfig
from mribench.config.parts import (
    DEFAULT_SPLIT_RULE,
    Defaults,
    InvarianceSpec,
    MethodSpec,
    SplitSpec,
    TaskSpec,
)
from mribench.config.resolution import (
    ResolvedBenchmark,
    ResolvedMethod,
    ResolvedPretraining,
    ResolvedTask,
    resolve,
)
from mribench.config.settings import (
    AdaptOptions,
    EmbedOptions,
    Optimisation,
    PretrainOptions,
    PretrainSettings,
    follow_contract,
)
from mribench.config.sources import PretrainSource

__all__ = [
    "DEFAULT_SPLIT_RULE",
    "AdaptOptions",
    "BenchmarkConfig",
    "Defaults",
    "EmbedOptions",
    "ExecutionSpec",
    "InvarianceSpec",
    "MethodSpec",
    "Optimisation",
    "PretrainOptions",
    "PretrainSettings",
    "PretrainSource",
    "ResolvedBenchmark",
    "ResolvedMethod",
    "ResolvedPretraining",
    "ResolvedTask",
    "SplitSpec",
    "TaskSpec",
    "blame_settings",
    "digest_config",
    "digest_settings",
    "follow_contract",
    "load_benchmark",
    "resolve",
]
