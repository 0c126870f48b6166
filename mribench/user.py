"""The name of whoever runs mribench, where the system knows none."""

from __future__ import annotations

import getpass
import os


def ensure_user_name() -> None:
    """Name the user after the user id where that has no entry in the password file.

    Containers run as a bare user id (``docker --user``, OpenShift, directory users). Libraries that look the
    name up while they are imported, MONAI among them, could then not be imported at all.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError up to Python 3.12, OSError from 3.13 on
        os.environ["USER"] = f"uid{os.getuid()}"
