"""What each command does. Heavy imports stand here, so that ``mribench.cli`` and its ``--help`` need none."""

from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""Where results are kept unless ``--results`` says otherwise."""
