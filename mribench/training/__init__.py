"""One training loop, its checkpoints, and digests of weights.

What is trained, and on what, is handed in by ``jobs``.
"""

from mribench.training.checkpoint import Checkpoint
from mribench.training.loop import History, Interrupted, train
from mribench.training.stepper import DivergenceError
from mribench.training.trainee import Trainee

__all__ = ["Checkpoint", "DivergenceError", "History", "Interrupted", "Trainee", "train"]
