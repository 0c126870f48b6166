"""One training loop, its checkpoints, and digests of weights.

What is trained, and on what, is handed in by ``jobs``.
"""

from mribench.training.checkpoint import Checkpoint
from mribench.training.loop import Carried, History, Interrupted, train
from mribench.training.options import LoopOptions

__all__ = ["Carried", "Checkpoint", "History", "Interrupted", "LoopOptions", "train"]
