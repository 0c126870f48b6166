"""Sizes, --set and the environment."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from mribench.config import BenchmarkConfig, digest_config
from mribench.config.overrides import fill_in, mark_unset, merge, parse_setting
from mribench.errors import ConfigError

Load = Callable[..., BenchmarkConfig]
Complaint = Callable[..., tuple[str, str]]

SIZES = """\
size: small
sizes:
  small:
    data: {scans: {root: here}}
    defaults: {encoder: {features: [2]}, pretrain: {steps: 3}}
    methods: {sharp: {objective: {name: push, force: 1}}, extra: {views: blur, objective: pull}}
    splits: {scans: {test: 7}}
  full: {}
"""


def test_size_is_laid_over_the_file(load: Load, base: str) -> None:
    config = load(base + SIZES)
    assert config.size == "small"
    assert config.defaults.encoder.options == {"features": [2]}
    assert config.defaults.encoder.name == "net"
    assert config.defaults.pretrain.steps == 3
    assert config.defaults.pretrain.batch_size == 2
    assert config.data["scans"].model_dump() == {"name": "cohort", "root": "here"}
    assert config.splits["scans"].model_dump() == {"by": "place", "train": 2, "test": 7}
    assert "extra" in config.methods


def test_component_of_another_name_replaces_the_options(load: Load, base: str) -> None:
    assert load(base + SIZES).methods["sharp"].objective.model_dump() == {"name": "push", "force": 1}


def test_set_chooses_the_size_and_comes_after_it(load: Load, base: str) -> None:
    config = load(base + SIZES, "defaults.pretrain.steps=99", "size=full")
    assert config.defaults.pretrain.steps == 99
    assert config.defaults.encoder.options == {"features": [4, 8]}
    assert load(base + SIZES, "defaults.pretrain.steps=99").defaults.pretrain.steps == 99
    assert load(base + SIZES, "size=null").defaults.pretrain.steps == 10


def test_set_can_change_a_size(load: Load, base: str) -> None:
    assert load(base + SIZES, "sizes.small.defaults.pretrain.steps=4").defaults.pretrain.steps == 4
    assert load(base, "sizes.one.seeds=[5]", "size=one").seeds == [5]


def test_sizes_that_are_not_chosen_leave_no_trace(load: Load, base: str) -> None:
    sized = load(base + SIZES, "size=null")
    assert digest_config(sized) == digest_config(load(base))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("size: smal\nsizes: {big: {}}\n", "tiny.yaml: size: no size 'smal' under 'sizes'", "known: big"),
        ("size: small\n", "tiny.yaml: size: no size 'small' under 'sizes'", "there are none"),
        ("size: 3\nsizes: {a: {}, c: {}}\n", "tiny.yaml: size: no size 3 under 'sizes'", "known: a, c"),
        ("size: ab\nsizes: {abc: {}}", "tiny.yaml: size: no size 'ab' under 'sizes'", "did you mean 'abc'?"),
        ("sizes: 3\n", "tiny.yaml: sizes: expected a mapping of names to changes, got 3", ""),
        ("sizes: {a: [1]}\n", "tiny.yaml: sizes.a: expected a mapping, got [1]", ""),
        ("sizes: {a: {size: b}}\n", "tiny.yaml: sizes.a.size: a size cannot change this key", "remove it"),
        ("sizes: {a: {sizes: {}}}\n", "tiny.yaml: sizes.a.sizes: a size cannot change this key", "remove it"),
    ],
)  # fmt: skip
def test_wrong_sizes(complaint: Complaint, base: str, text: str, message: str, hint: str) -> None:
    assert complaint(base + text) == (message, hint)


def test_set_adds_a_method_in_two_words(load: Load, base: str) -> None:
    config = load(base, "methods.new.views=blur", "methods.new.objective=mine")
    assert config.methods["new"].views.name == "blur"
    assert config.methods["new"].objective.name == "mine"


def test_set_below_a_plain_name(load: Load, base: str) -> None:
    config = load(base, "methods.plain.objective.temperature=0.7", "data.scans.root=x", "splits.maps=place")
    assert config.methods["plain"].objective.model_dump() == {"name": "pull", "temperature": 0.7}
    assert config.data["scans"].model_dump() == {"name": "cohort", "root": "x"}
    assert config.splits["maps"].model_dump() == {"by": "place"}
    config = load(base, "splits.maps=place", "splits.maps.train=4")
    assert config.splits["maps"].model_dump() == {"by": "place", "train": 4}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1e-3", 0.001),
        ("a=[1, x]", [1, "x"]),
        ("a={b: c}", {"b": "c"}),
        ("a=", None),
        ("a=b=c", "b=c"),
    ],
)
def test_values_are_yaml(text: str, value: object) -> None:
    assert parse_setting(text).value == value


def test_the_last_setting_wins(load: Load, base: str) -> None:
    assert load(base, "seeds=[7]", "seeds=[8]").seeds == [8]


@pytest.mark.parametrize("text", ["", "=", "=3", "seeds", "methods..views=x", ".=1", "methods.=1", " = 2"])
def test_malformed_set(complaint: Complaint, base: str, text: str) -> None:
    message, hint = complaint(base, text)
    assert message == f"--set {text}: expected key=value"
    assert hint.startswith("write --set key=value")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds=[1", "--set seeds=[1: line 1: not YAML: "),
        ("seeds={a: 1, a: 2}", "--set seeds={a: 1, a: 2}: line 1: duplicate key 'a', first given in line 1"),
        ("seeds.0=3", "--set seeds.0=3: seeds is [0, 1], and has no keys"),
        (
            "tasks.find.adapt.lr.x=3",
            "--set tasks.find.adapt.lr.x=3: tasks.find.adapt.lr is 0.01, and has no keys",
        ),
    ],
)
def test_set_that_cannot_be_applied(complaint: Complaint, base: str, text: str, message: str) -> None:
    assert complaint(base, text)[0].startswith(message)


def test_set_with_a_key_of_many_parts(complaint: Complaint, base: str) -> None:
    message, _ = complaint(base, f"defaults{'.a' * 5000}=1")
    assert "defaults.a: unknown key" in message


def test_set_that_is_not_text_can_be_printed(complaint: Complaint, base: str) -> None:
    for text in ("seeds=\udcff", "\udcff=1"):
        message, _ = complaint(base, text)
        assert message.encode()
        assert r"\udcff" in message


def test_set_changes_one_of_two_aliases(load: Load, base: str) -> None:
    shared = base.replace("scans: cohort", "scans: *maps").replace("maps: {name", "maps: &maps {name", 1)
    config = load(shared, "data.scans.root=there", "data.maps.root=here")
    assert (config.data["scans"].options, config.data["maps"].options) == (
        {"root": "there"},
        {"root": "here"},
    )


def test_errors_name_the_set_that_made_them(complaint: Complaint, base: str) -> None:
    assert complaint(base, "profile=paper", "defaults.pretrain.lr=-1")[0] == (
        "tiny.yaml with --set defaults.pretrain.lr=-1: "
        "defaults.pretrain.lr: expected a number greater than 0, got -1"
    )
    assert complaint(base.replace("lr: 1e-3", "lr: 0"), "profile=paper")[0] == (
        "tiny.yaml: defaults.pretrain.lr: expected a number greater than 0, got 0"
    )


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ("${A}", "one"),
        ("x/${A}/y", "x/one/y"),
        ("${A}${B}", "onetwo"),
        ("${A:-z}", "one"),
        ("${NO:-z}", "z"),
        ("${NO:-/a b/c}", "/a b/c"),
        ("${NO}", None),
        ("x/${NO}", None),
        ("${EMPTY}", None),
        ("${EMPTY:-z}", "z"),
        ("${NO:-}", None),
        ("plain", "plain"),
        (3, 3),
        (["${A}", {"k": "${NO}"}], ["one", {"k": None}]),
    ],
)
def test_environment(written: object, filled: object) -> None:
    environment = {"A": "one", "B": "two", "EMPTY": ""}
    assert fill_in({"data": {"c": {"root": written}}}, "f", environment) == {"data": {"c": {"root": filled}}}


def test_a_value_from_the_environment_is_not_read_again() -> None:
    assert fill_in({"data": {"r": "${A}"}}, "f", {"A": "${B}", "B": "x"}) == {"data": {"r": "${B}"}}


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${1}", "${A:+x}", "${A-x}", "a${A}${"])
def test_malformed_variable(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot read the variable") as caught:
        fill_in({"data": {"c": {"root": text}}}, "f.yaml", {"A": "one"})
    assert caught.value.message.startswith("f.yaml: data.c.root: ")
    assert "${NAME:-default}" in caught.value.hint


def test_environment_reaches_data_only(load: Load, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_ROOT", "/scans")
    config = load(base, 'methods.plain.objective.note="${TINY_ROOT}"', 'data.scans.root="${TINY_ROOT}/b"')
    assert config.data["maps"].options == {"root": "/scans"}
    assert config.data["scans"].options == {"root": "/scans/b"}
    assert config.methods["plain"].objective.options == {"note": "${TINY_ROOT}"}
    monkeypatch.delenv("TINY_ROOT")
    assert load(base).data["maps"].options == {"root": None}


_trees = st.recursive(
    st.integers() | st.text(max_size=3) | st.none(),
    lambda children: st.dictionaries(st.sampled_from(["a", "b", "c"]), children, max_size=3),
    max_leaves=8,
)
_mappings = st.dictionaries(st.sampled_from(["a", "b", "c"]), _trees, max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_mappings, _mappings)
def test_merge_leaves_its_arguments_alone_and_is_idempotent(
    base: dict[str, object], patch: dict[str, object]
) -> None:
    before = copy.deepcopy((base, patch))
    merged = merge(base, patch)
    assert (base, patch) == before
    assert merge(merged, patch) == merged
    assert set(merged) == set(base) | set(patch)


def test_variables_that_are_not_set_are_known_by_cohort():
    tree = {
        "data": {
            "a": {"name": "x", "root": "${ONE}/${TWO}/${ONE}", "exclude": ["${THREE}"]},
            "b": "${SET}",
            "c": {"root": "${ONE:-here}"},
            "d": 3,
        }
    }
    assert mark_unset(tree, {"SET": "x", "TWO": ""}) == {"a": ("ONE", "TWO", "THREE")}
    assert mark_unset({}, {}) == {}


@pytest.mark.parametrize("text", ["$ROOT/ixi", "/data/$ROOT", "${SET}/$ROOT"])
def test_a_variable_without_braces_is_refused(text):
    with pytest.raises(
        ConfigError, match=r"data\.a\.root: the variable \$ROOT in .* has no braces"
    ) as caught:
        fill_in({"data": {"a": {"root": text}}}, "f.yaml", {"SET": "x", "ROOT": "y"})
    assert "write ${ROOT}" in caught.value.hint
    assert fill_in({"data": {"a": {"root": "C$/x"}}}, "f.yaml", {})["data"]["a"]["root"] == "C$/x"
