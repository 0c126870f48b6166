"""``mribench``, and ``python -m mribench``."""

from __future__ import annotations

from mribench.commands.signals import importing


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it without a traceback."""
    with importing():
        from mribench.cli import main as run

    run()


if __name__ == "__main__":
    main()
