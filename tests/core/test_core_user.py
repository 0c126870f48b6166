"""Plugins load for a user id that has no entry in the password file, as in containers."""

from __future__ import annotations

import getpass

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
