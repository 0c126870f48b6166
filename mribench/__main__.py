"""``mribench``, and ``python -m mribench``."""

from __future__ import annotations

import gc

from mribench.commands.signals import importing


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it without a traceback."""
    with importing():
        from mribench.cli import main as run

    try:
        run()
    finally:
        gc.freeze()  # the process ends: a last look for garbage would take as long as a plan


if __name__ == "__main__":
    main()
