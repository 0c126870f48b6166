"""The name that the command ``plan`` had in 0.1, kept for scripts that were written for it."""

from mribench.cli.benchmarks import plan as command

__all__ = ["command"]
