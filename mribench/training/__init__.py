"""One training loop, and its checkpoints."""

from mribench.training.checkpoint import Checkpoint
from mribench.training.loop import History, Interrupted, LoopOptions, train

__all__ = ["Checkpoint", "History", "Interrupted", "LoopOptions", "train"]
