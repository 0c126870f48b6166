"""Turns pydantic's validation errors into one sentence with the key and a hint."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from mribench.errors import ConfigError, did_you_mean
from mribench.wording import printable

PROBLEM = "mribench_problem"
"""Type of the errors that ``problem`` makes."""


@contextmanager
def readable() -> Iterator[None]:
    """Make every ``ConfigError`` that passes printable; whatever the user wrote may be part of it."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(printable(error.message), printable(error.hint)) from error.__cause__


def problem(place: str, message: str, hint: str = "") -> PydanticCustomError:
    """Return an error for a model validator to raise, with the place of the key and a hint.

    Args:
        place: dotted place of the key below the model that is validated; may be empty.
        message: what is wrong, "expected X, got Y".
        hint: what to do about it.
    """
    return PydanticCustomError(PROBLEM, "{message}", {"place": place, "message": message, "hint": hint})


@dataclass(frozen=True)
class Complaint:
    """What is wrong with the content of a model.

    Attributes:
        place: dotted place of the key; empty for the whole.
        sentence: what is wrong there.
        hint: what to do about it.
        is_null: whether the value is null, as that of a variable of the environment that is not set.
    """

    place: str
    sentence: str
    hint: str
    is_null: bool

    @property
    def message(self) -> str:
        """Place and sentence, printable."""
        return printable(f"{self.place}: {self.sentence}" if self.place else self.sentence)


def describe(error: ValidationError, model: type[BaseModel], where: str = "") -> Complaint:
    """Return ``methods.a.objectiv: unknown key`` with ``did you mean 'objective'?`` for the first error.

    Args:
        error: from validating ``model``.
        model: what was validated.
        where: place of the whole model, which goes before the key, e.g. ``paper.yaml: methods.a.views``.
    """
    found = [(tuple(_file_keys(model, item)), item) for item in error.errors()]
    start = found[0][0]
    if found[0][1]["type"] == "missing":  # perhaps given, and misspelt
        unknown = [keys for keys, item in found if _is_beside(keys, item, start)]
        close = [keys for keys in unknown if difflib.get_close_matches(keys[-1], start[-1:])]
        start = [*close, *unknown, start][0]
    # a value that fits no branch of a union has one error for each: the deepest says most
    related = [(keys, item) for keys, item in found if keys[: len(start)] == start]
    deepest = max(len(keys) for keys, _ in related)
    keys = next(keys for keys, _ in related if len(keys) == deepest)
    items = [item for other, item in related if other == keys]
    place, message, hint = _sentence(keys, items, model)
    if items[0]["type"] == "extra_forbidden" and not hint.startswith("did you mean"):
        hint = "".join(f"{name} is required, and not given; " for name in _missing_beside(keys, found)) + hint
    place = ".".join(part for part in (where, place) if part)
    is_null = items[0]["input"] is None and items[0]["type"] not in ("missing", "extra_forbidden")
    return Complaint(place, message, printable(hint), is_null)


def _file_keys(model: type[BaseModel], item: ErrorDetails) -> Iterator[str]:
    """Yield the keys of the file in a location of pydantic's, which also names branches of unions."""
    current: Any = model
    parts = item["loc"]
    for index, part in enumerate(parts):
        if _branches(current):
            current = _choose(_branches(current), parts[index + 1 :])
            continue
        if part == "[key]" and item["type"] != "extra_forbidden":  # the key before it is wrong
            return
        yield str(part)
        current = _below(current, part)


def _is_beside(keys: tuple[str, ...], item: ErrorDetails, missing: tuple[str, ...]) -> bool:
    return item["type"] == "extra_forbidden" and keys[:-1] == missing[:-1]


def _missing_beside(
    keys: tuple[str, ...], found: Iterable[tuple[tuple[str, ...], ErrorDetails]]
) -> list[str]:
    return [other[-1] for other, item in found if item["type"] == "missing" and other[:-1] == keys[:-1]]


def _sentence(
    keys: tuple[str, ...], items: list[ErrorDetails], model: type[BaseModel]
) -> tuple[str, str, str]:
    told = _told(items)
    first, place = told[0], ".".join(keys)
    if first["type"] == PROBLEM:
        context = first["ctx"]
        return (
            ".".join(part for part in (place, context["place"]) if part),
            context["message"],
            context["hint"],
        )
    if first["type"] == "extra_forbidden":
        owner = _model_at(model, keys[:-1])
        return place, "unknown key", did_you_mean(keys[-1], owner.model_fields if owner else ())
    if first["type"] == "missing":
        return place, "required, and not given", ""
    return place, _message(told), _hint(first)


def _told(items: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors that are said: those of the branches of a union that the value was meant for."""
    return [item for item in items if item["type"] not in _TYPE_ERRORS] or items


def _message(told: list[ErrorDetails]) -> str:
    value = told[0]["input"]
    if told[0]["type"] in ("too_short", "too_long"):
        bound = "at least" if told[0]["type"] == "too_short" else "at most"
        count = told[0]["ctx"].get("min_length", told[0]["ctx"].get("max_length"))
        return f"expected {bound} {count} item{'s' if count != 1 else ''}, got {len(value)}"
    texts = [_said(item) for item in told]
    expected = [_plain(text) for text in texts if text.startswith(_EXPECTATION)]
    text = (
        f"expected {' or '.join(dict.fromkeys(expected))}"
        if expected
        else texts[0][:1].lower() + texts[0][1:]
    )
    whole_model = not expected and isinstance(value, Mapping | BaseModel)  # says nothing about the problem
    return text if ", got " in text or whole_model else f"{text}, got {_short(value)}"


def _said(item: ErrorDetails) -> str:
    if item["type"] == "path_type":
        return f"{_EXPECTATION}a path"
    return item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


_EXPECTATION = "Input should be "
_TYPE_ERRORS = (
    "literal_error",
    *(f"{kind}_type" for kind in ("int", "float", "list", "tuple", "string", "dict", "model", "path")),
)
"""Errors of a branch of a union that the value was not meant for."""


def _plain(text: str) -> str:
    text = text.removeprefix(_EXPECTATION)
    if text.startswith(("greater", "less")):
        return f"a number {text}"
    text = text.partition(", unable to parse string")[0]
    if text.startswith("a valid dictionary"):
        return "a mapping"
    return (
        text.replace("a valid integer", "an integer")
        .replace("a valid tuple", "a list")
        .replace("a valid ", "a ")
    )


def _hint(item: ErrorDetails) -> str:
    value = item["input"]
    if item["type"] == "literal_error" and isinstance(value, str):
        names = item["ctx"]["expected"].replace(" or ", ", ").split(", ")
        return did_you_mean(value, [name.strip("'") for name in names])
    if item["type"] in ("list_type", "tuple_type") and isinstance(value, str | int | float):
        return f"write [{_short(value).strip(chr(39))}]"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _bare(annotation: Any) -> Any:
    """Return an annotation without ``Annotated`` and ``| None``."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [argument for argument in get_args(annotation) if argument is not type(None)]
        return _bare(kept[0]) if len(kept) == 1 else annotation
    return annotation


def _branches(annotation: Any) -> list[Any]:
    bare = _bare(annotation)
    if get_origin(bare) in (Union, types.UnionType):
        return [_bare(argument) for argument in get_args(bare) if argument is not type(None)]
    return []


def _choose(branches: list[Any], rest: tuple[int | str, ...]) -> Any:
    """Return the branch of a union that can hold the next key."""
    if not rest:
        return None
    origins = (list, tuple) if isinstance(rest[0], int) else (dict,)
    fitting = [b for b in branches if get_origin(b) in origins or (dict in origins and _is_model(b))]
    return fitting[0] if fitting else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _below(annotation: Any, part: int | str) -> Any:
    """Return the annotation of one key of a model, a mapping or a list; None where it is not known."""
    current = _bare(annotation)
    if _is_model(current):
        field = current.model_fields.get(str(part))
        return field.annotation if field else None
    origin, arguments = get_origin(current), get_args(current)
    if not arguments or not isinstance(origin, type):
        return None
    if issubclass(origin, Mapping):
        return arguments[-1]
    if origin is tuple and isinstance(part, int) and Ellipsis not in arguments:
        return arguments[part] if part < len(arguments) else None
    return arguments[0] if issubclass(origin, Iterable) else None


def _model_at(model: type[BaseModel], keys: Iterable[str]) -> type[BaseModel] | None:
    current: Any = model
    for key in keys:
        part: int | str = int(key) if key.isdigit() else key
        branches = _branches(current)
        current = _below(_choose(branches, (part,)) if branches else current, part)
    models = [choice for choice in _branches(current) or [_bare(current)] if _is_model(choice)]
    return models[0] if models else None
