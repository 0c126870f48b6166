"""What this package registers."""

from __future__ import annotations

from mribench import hookimpl
from mribench.interfaces import Entry
from mribench_tracking.mlflow import MlflowOptions, MlflowTracker
from mribench_tracking.tensorboard import TensorboardOptions, TensorboardTracker
from mribench_tracking.wandb import WandbOptions, WandbTracker


@hookimpl
def mribench_entries() -> list[Entry]:
    """Return the first-party trackers."""
    return [
        Entry(
            "tracker", "mlflow", MlflowTracker, MlflowOptions, "one MLflow run per job, by default in SQLite"
        ),
        Entry(
            "tracker", "tensorboard", TensorboardTracker, TensorboardOptions, "event files, a folder per job"
        ),
        Entry(
            "tracker",
            "wandb",
            WandbTracker,
            WandbOptions,
            "one Weights & Biases run per job, by default offline",
        ),
    ]
