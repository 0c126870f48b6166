"""Plugins load for a user id that has no entry in the password file, as in containers."""

from __future__ import annotations

import getpass
import subprocess
import sys

import pytest

from mribench.plugins import load_registry
from mribench.user import ensure_user_name

NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture(params=[KeyError, OSError])
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom neither the environment nor the password file names."""
    import pwd

    def unknown(uid: int) -> None:
        raise request.param(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that whatever is set here is taken back
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("nameless")
def test_a_user_without_an_entry_gets_a_name() -> None:
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    ensure_user_name()
    assert getpass.getuser().startswith("uid")


@pytest.mark.usefixtures("nameless")
def test_loading_plugins_names_the_user() -> None:
    assert load_registry().problems == []
    assert getpass.getuser().startswith("uid")


def test_a_known_user_keeps_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")
    ensure_user_name()
    assert getpass.getuser() == "somebody"


NAMELESS = """
import os, pwd, sys

def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = unknown
for name in NAMES:
    os.environ.pop(name, None)
from mribench.cli import main
sys.argv = ["mribench", "views", "nowhere.yaml"]
main()
"""


def test_commands_that_import_what_jobs_need_work_without_a_name() -> None:
    program = NAMELESS.replace("NAMES", repr(NAMES))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
