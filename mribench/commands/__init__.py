"""What each command does, heavy imports at the top.

How it is asked for lies in ``cli``, what is computed in the rooms below.
"""

from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""Where results are kept unless ``--results`` says otherwise."""
MOST_PREPARING = 4
"""Most processes that prepare volumes, unless ``--jobs`` says otherwise."""
