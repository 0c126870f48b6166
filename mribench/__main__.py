"""``python -m mribench``."""

from mribench.cli import main

if __name__ == "__main__":
    main()
