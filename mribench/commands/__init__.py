"""What each command does, heavy imports at the top.

How it is asked for lies in ``cli``, what is computed in the rooms below.
"""

from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""Where results are kept unless ``--results`` says otherwise."""
RUBBISH = {
    "stale": "results that no plan asks for any more",
    "failed": "folders of jobs that failed, with their logs",
    "checkpoints": "checkpoints of jobs that are done",
    "temporary": "files that a killed process left half written",
    "plans": "plans that are not the newest of their benchmark file; what only they ask for is stale then",
}
"""What ``mribench clean`` can delete, in a sentence; ``plans`` only where it is asked for by name."""
MOST_PREPARING = 4
"""Most processes that prepare volumes, unless ``--jobs`` says otherwise."""
