"""What each kind of job computes: pretrain, adapt, evaluate, embed.

Which jobs there are lies in ``plan``, where they run in ``execute``.
"""

from mribench.jobs.context import Context, Outcome
from mribench.jobs.run import run_spec
from mribench.jobs.shared import Shared

__all__ = ["Context", "Outcome", "Shared", "run_spec"]
