"""One training loop, and its checkpoints."""

from mribench.training.checkpoint import Checkpoint
from mribench.training.loop import Carried, History, Interrupted, train
from mribench.training.options import LoopOptions

__all__ = ["Carried", "Checkpoint", "History", "Interrupted", "LoopOptions", "train"]
