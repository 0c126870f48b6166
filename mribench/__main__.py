"""``mribench``, and ``python -m mribench``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it without a traceback."""
    try:
        from mribench.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; nothing was begun\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
