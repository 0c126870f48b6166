"""One sentence for any error of pydantic's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mribench.errors import ConfigError
from mribench.validation import describe, problem, readable
from mribench.wording import MAX_SENTENCE


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: Literal["red", "green"] = "red"
    weight: Annotated[float, Field(ge=0)] = 0


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")
    leaf: Leaf | None = None
    leaves: list[Leaf] = []
    named: dict[str, Leaf] = {}
    either: int | Leaf = 0
    pair: tuple[int, Leaf] | None = None
    names: Literal["all"] | list[str] | dict[str, int] = "all"
    limit: Annotated[int, Field(strict=True, lt=5)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Tree:
        if self.limit == 1:
            raise ValueError("expected no limit of 1, got 1")
        if self.limit == 2:
            raise problem("named.x", "two {braces} are wrong", "use three")
        if self.limit == 3:
            raise ValueError("Three is wrong")
        return self


INT = "expected an integer"
FLOAT = "expected a number"
GREEN = "did you mean 'green'?"


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ({"leaf": {"color": 1}}, "leaf.color: unknown key", "did you mean 'colour'?"),
        ({"leaves": [{}, {"color": 1}]}, "leaves.1.color: unknown key", "did you mean 'colour'?"),
        ({"named": {"a": {"color": 1}}}, "named.a.color: unknown key", "did you mean 'colour'?"),
        ({"either": {"color": 1}}, "either.color: unknown key", "did you mean 'colour'?"),
        ({"pair": [1, {"color": 1}]}, "pair.1.color: unknown key", "did you mean 'colour'?"),
        ({"leav": []}, "leav: unknown key", "did you mean 'leaves'?"),
        ({"named": {"list[str]": {"weight": "x"}}}, f"named.list[str].weight: {FLOAT}, got 'x'", ""),
        ({"leaf": {"colour": "gren"}}, "leaf.colour: expected 'red' or 'green', got 'gren'", GREEN),
        ({"leaf": 3}, "leaf: expected a mapping, got 3", ""),
        ({"either": "x"}, f"either: {INT}, got 'x'", ""),
        ({"names": 3}, "names: expected 'all' or a list or a mapping, got 3", ""),
        ({"names": [1]}, "names.0: expected a string, got 1", ""),
        ({"names": {"a": "x"}}, f"names.a: {INT}, got 'x'", ""),
        ({"limit": 7}, "limit: expected a number less than 5, got 7", ""),
        ({"limit": 1}, "expected no limit of 1, got 1", ""),
        ({"limit": 2}, "named.x: two {braces} are wrong", "use three"),
        ({"leaf": {"weight": "x" * 200}}, f"leaf.weight: {FLOAT}, got '{'x' * 76}…", ""),
    ],
)  # fmt: skip
def test_sentences(value: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(value)
    found = describe(caught.value, Tree)
    assert (found.message, found.hint) == (message, hint)


def test_a_validator_that_does_not_say_what_it_got() -> None:
    with pytest.raises(ValidationError) as caught:
        Tree(limit=3)
    assert describe(caught.value, Tree).message == "three is wrong"  # the whole model says nothing about it


def test_where_goes_before_the_key() -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"leaf": {"color": 1}})
    assert describe(caught.value, Tree, "f.yaml: a").message == "f.yaml: a.leaf.color: unknown key"
    with pytest.raises(ValidationError) as caught:
        Tree(limit=1)
    assert describe(caught.value, Tree, "f.yaml: a").message == "f.yaml: a: expected no limit of 1, got 1"


class Needs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    objective: str
    views: str


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"views": "a"}, "objective: required, and not given"),
        ({"views": "a", "objectiv": "b"}, "objectiv: unknown key"),
        ({"views": "a", "other": "b"}, "other: unknown key"),
        ({"views": "a", "other": "b", "objectiv": "b"}, "objectiv: unknown key"),
    ],
)
def test_an_unknown_key_comes_before_a_missing_one(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Needs.model_validate(value)
    assert describe(caught.value, Needs).message == message


def test_what_is_missing_beside_an_unknown_key_is_in_the_hint() -> None:
    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({"views": "a", "other": "b"})
    hint = describe(caught.value, Needs).hint
    assert hint == "objective is required, and not given; known: objective, views"
    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({"views": "a", "objectiv": "b"})
    assert describe(caught.value, Needs).hint == "did you mean 'objective'?"


def test_readable_mends_messages_and_hints() -> None:
    with pytest.raises(ConfigError) as caught, readable():
        raise ConfigError("a\nb" + "x" * 5000, "\x1b[31m")
    assert caught.value.message.startswith(r"a\nbx")
    assert len(caught.value.message) == MAX_SENTENCE
    assert caught.value.hint == r"\x1b[31m"
    with pytest.raises(KeyError), readable():
        raise KeyError("others pass")


@pytest.mark.parametrize(
    ("content", "place", "is_null"),
    [
        ({"leaf": {"weight": None}}, "leaf.weight", True),
        ({"leaf": {"weight": -1}}, "leaf.weight", False),
        ({"leaf": {"other": None}}, "leaf.other", False),
    ],
)
def test_a_null_value_is_told_from_a_wrong_one(content: dict[str, Any], place: str, is_null: bool) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(content)
    wrong = describe(caught.value, Tree)
    assert (wrong.place, wrong.is_null) == (place, is_null)
