"""Names to entries, components to things that can be made."""

from __future__ import annotations

import json

import pytest
from pydantic import Field

from mribench.errors import ConfigError, PluginError
from mribench.interfaces.entry import KINDS, Entry
from mribench.interfaces.options import (
    Component,
    DatasetRef,
    DecoderRef,
    EncoderRef,
    MetricRef,
    NoOptions,
    ObjectiveRef,
    Options,
    ProbeRef,
    Profile,
    SequenceRef,
    SplitRef,
    TaskRef,
    ViewsRef,
)
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry, Resolved, references

REFERENCES = {
    reference.kind: reference
    for reference in (
        DatasetRef, SplitRef, SequenceRef, ViewsRef, ObjectiveRef, EncoderRef, DecoderRef, TaskRef, MetricRef,
        ProbeRef,
    )
}  # fmt: skip
REQUIRED = {
    ("split", "site"): {"train_site": "Guys"},
    ("split", "leave-sites-out"): {"held_out": ["HH"]},
    ("dataset", "table"): {"table": "scans.csv"},
    ("task", "segmentation"): {"classes": {"lesion": 1}},
    ("task", "regression"): {"covariate": "age"},
    ("task", "classification"): {"covariate": "sex", "classes": ["F", "M"]},
}
"""What first-party entries cannot do without."""


class Inner(Options):
    width: int = Field(1, ge=0, description="width")


class Outer(Options):
    metric: MetricRef = Field(MetricRef(name="inner"), description="one")
    metrics: list[MetricRef] = Field([], description="several")
    profile: Profile = "corrected"


def made(kind: str, name: str, options: type[Options] = NoOptions) -> Entry:
    return Entry(kind, name, lambda opts, *args: (name, opts, args), options, f"a made-up {kind}")


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for entry in (made("metric", "inner", Inner), made("task", "outer", Outer), made("objective", "bare")):
        registry.add(Registered(entry, "plug", "dist", "1.0"))
    return registry


def ref(kind: str, value: object) -> Component:
    return REFERENCES[kind].model_validate(value)


def test_a_name_that_is_taken_names_both_owners(registry):
    with pytest.raises(PluginError) as caught:
        registry.add(Registered(made("metric", "inner"), "other", "second-dist", "2"))
    assert caught.value.message == (
        "metric 'inner' is registered twice: by plugin 'plug' of dist and by plugin 'other' of second-dist"
    )
    assert "uninstall" in caught.value.hint
    assert registry.get("metric", "inner").plugin == "plug"


def test_an_unknown_kind_is_refused(registry):
    with pytest.raises(PluginError, match="'x' of unknown kind 'metrik'") as caught:
        registry.add(Registered(made("metrik", "x"), "other", "d", "1"))
    assert caught.value.hint == "did you mean 'metric'?"


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("metric", "iner", "did you mean 'inner'?"),
        ("metric", "zzz", "known: inner"),
        ("encoder", "inner", "there are none"),
        ("metric", "", "known: inner"),
    ],
)
def test_unknown_names(registry, kind, name, hint):
    with pytest.raises(PluginError) as caught:
        registry.get(kind, name)
    assert (caught.value.message, caught.value.hint) == (f"unknown {kind} '{name}'", hint)


def test_skipped_plugins_are_mentioned_with_unknown_names(registry):
    registry.problems += ["plugin 'a' is broken", "plugin 'b' is broken"]
    with pytest.raises(PluginError) as caught:
        registry.get("metric", "iner")
    assert caught.value.hint == (
        "did you mean 'inner'?; 2 plugins did not load: plugin 'a' is broken; plugin 'b' is broken"
    )


def test_iteration_is_sorted_by_kind_and_name(registry):
    registry.add(Registered(made("metric", "a"), "plug", "dist", "1.0"))
    found = [(item.entry.kind, item.entry.name) for item in registry]
    assert found == sorted(found)
    assert registry.names("metric") == ["a", "inner"]


def test_options_and_parts_are_resolved_and_made(registry):
    written = {"name": "outer", "metric": {"name": "inner", "width": 3}, "metrics": ["inner"]}
    resolved = registry.resolve(ref("task", written), "f", "paper")
    assert resolved.options.profile == "paper"
    assert sorted(resolved.parts) == ["metric", "metrics.0"]
    name, options, args = resolved.make("extra")
    assert (name, args) == ("outer", ("extra",))
    assert options.metric.make(7)[1:] == (Inner(width=3), (7,))
    assert options.metrics[0].make()[1] == Inner(width=1)


def test_a_given_profile_is_kept(registry):
    resolved = registry.resolve(ref("task", {"name": "outer", "profile": "as-released"}), "f", "paper")
    assert resolved.options.profile == "as-released"


def test_a_reference_that_was_not_resolved_cannot_be_made():
    with pytest.raises(RuntimeError, match="metric 'inner' was not resolved"):
        MetricRef(name="inner").make()


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ({"name": "outer", "metrik": 1}, "f: a.metrik: unknown key", "did you mean 'metric'?"),
        ({"name": "outer", "metric": {"name": "inner", "width": -1}},
         "f: a.metric.width: expected a number greater than or equal to 0, got -1", ""),
        ({"name": "outer", "metric": {"name": "inner", "widht": 1}},
         "f: a.metric.widht: unknown key", "did you mean 'width'?"),
        ({"name": "outer", "metrics": ["inner", "iner"]},
         "f: a.metrics.1: unknown metric 'iner'", "did you mean 'inner'?"),
        ({"name": "outer", "metric": {"width": 1}},
         "f: a.metric: expected a name, or {name: …}, of kind 'metric', got no name", ""),
        ({"name": "outer", "profile": "papr"},
         "f: a.profile: expected 'corrected', 'paper' or 'as-released', got 'papr'", "did you mean 'paper'?"),
    ],
)  # fmt: skip
def test_errors_name_the_place(registry, written, message, hint):
    with pytest.raises(ConfigError) as caught:
        registry.resolve(ref("task", written), "f: a", "corrected")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_identity_depends_on_options_parts_and_distribution_only(registry):
    def identity(written: object, where: str = "f") -> dict:
        return registry.resolve(ref("task", written), where, "corrected").identity()

    plain = identity("outer")
    assert plain == identity({"name": "outer"}, "another place")
    assert plain == identity({"name": "outer", "metric": {"name": "inner", "width": 1}})
    assert plain != identity({"name": "outer", "metric": {"name": "inner", "width": 2}})
    assert plain != identity({"name": "outer", "metrics": ["inner"]})
    assert plain["parts"]["metric"]["options"] == {"width": 1}
    assert json.loads(json.dumps(plain)) == plain

    other = Registry()
    for item in registry:
        other.add(Registered(item.entry, "renamed", item.distribution, "9.9"))
    same = other.resolve(ref("task", "outer"), "f", "corrected").identity()
    assert same == plain  # neither the version nor the name of the entry point


# First-party entries


@pytest.fixture(scope="module")
def installed() -> Registry:
    return load_registry()


def first_party() -> list[tuple[str, str]]:
    return [
        (item.entry.kind, item.entry.name)
        for item in load_registry()
        if item.distribution == "mribench" and item.entry.kind in REFERENCES
    ]


@pytest.mark.parametrize("profile", ["corrected", "paper", "as-released"])
@pytest.mark.parametrize(("kind", "name"), first_party(), ids=str)
def test_defaults_come_back_the_same(installed, kind, name, profile):
    written = {"name": name, **REQUIRED.get((kind, name), {})}
    first = installed.resolve(ref(kind, written), "here", profile)
    spelled_out = json.loads(json.dumps(first.component()))  # as job.json keeps it
    for later_profile in {profile, "corrected"} if _has_profile(first) else {profile, "paper"}:
        again = installed.resolve(ref(kind, spelled_out), "there", later_profile)
        assert again.identity() == first.identity()
        assert again.component() == first.component()


def _has_profile(resolved: Resolved) -> bool:
    own = "profile" in type(resolved.options).model_fields
    return own or any(_has_profile(part) for part in resolved.parts.values())


def test_every_kind_but_the_runs_own_can_be_referred_to(installed):
    assert {*REFERENCES, "executor", "tracker", "table"} == set(KINDS)
    own = {item.entry.kind for item in installed if item.distribution == "mribench"}
    assert own | {"table"} == set(KINDS), "the tables of mribench itself are built in"


def test_references_are_found_in_fields_and_lists():
    options = Outer(metrics=[MetricRef(name="a"), MetricRef(name="b")])
    assert [(place, found.name) for place, found in references(options)] == [
        ("metric", "inner"), ("metrics.0", "a"), ("metrics.1", "b"),
    ]  # fmt: skip
