"""``--track``: which trackers are asked for, with which options."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mribench.errors import ConfigError
from mribench.execute.tracking import make_trackers
from mribench.interfaces import Entry, Options
from mribench.registry import Registered, Registry


class DiaryOptions(Options):
    folder: str = ""
    every: int = 1


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    entry = Entry("tracker", "diary", lambda options: SimpleNamespace(options=options), DiaryOptions, "x")
    made.add(Registered(entry, "p", "d", "0"))
    return made


def test_track_is_read(registry):
    one, two = make_trackers(["diary", "diary:folder=a://b?c=d,every=3"], registry)
    assert one.name == two.name == "diary (plugin 'p' of d)"
    assert one.tracker.options == DiaryOptions()
    assert two.tracker.options == DiaryOptions(folder="a://b?c=d", every=3)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["dairy"], "--track dairy: unknown tracker 'dairy'"),
        (["diary", "diary"], "--track diary: given twice"),
        (["diary:folder"], "--track diary: expected key=value, got 'folder'"),
        (["diary:every=often"], "--track diary.every: expected an integer, got 'often'"),
        (["diary:evry=1"], "--track diary.evry: "),
        ([""], "--track : unknown tracker ''"),
        (["diary:name=other"], "--track diary: 'name' is no option"),
        (["diary:folder=a,folder=b"], "--track diary: the option 'folder' is given twice"),
        (["diary:folder=a:folder=b"], "--track diary: expected a comma between options, got"),
        (["diary:folder=a:every=3"], "--track diary: expected a comma between options, got"),
        (["diary:folder="], "--track diary: expected key=value, got 'folder='"),
        (["diary:folder= "], "--track diary: expected key=value, got 'folder= '"),
        (["diary:=a"], "--track diary: expected key=value, got '=a'"),
        (["diary:"], "--track diary: expected key=value, got ''"),
        (["diary:folder=a,"], "--track diary: expected key=value, got ''"),
    ],
)
def test_a_wrong_track_is_a_sentence(registry, wanted, message):
    with pytest.raises(ConfigError) as caught:
        make_trackers(wanted, registry)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("folder", ["http://host:80/x=1", "sqlite:///a.db", "http://me:pass=1@host/", "C:/a"])
def test_a_colon_in_a_uri_is_no_option(registry, folder):
    (found,) = make_trackers([f"diary:folder={folder}"], registry)
    assert found.tracker.options == DiaryOptions(folder=folder)
