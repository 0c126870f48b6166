"""No garbage is collected while modules are imported and jobs made, and all is as before afterwards."""

from __future__ import annotations

import gc

import pytest

from mribench.commands.garbage import without_collections


def plan_badly() -> None:
    with without_collections():
        with without_collections():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer block goes on"
        raise KeyError


def test_collections_go_on_after_an_error_too() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError):
        plan_badly()
    assert gc.isenabled()


def test_where_they_are_off_they_stay_so() -> None:
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
