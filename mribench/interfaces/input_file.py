"""Files that are given as options: part of a result by what is in them, not by where they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mribench.validation import problem
from mribench.volumes.cache import remember_by_file

_RELATIVE = "give the path of a file; a relative one counts from the folder that mribench is run in"


class InputFile(BaseModel):
    """A file that an option names, such as published weights.

    A benchmark file writes its path, relative to the folder that mribench is run in, or
    ``{path: …, sha256: …}`` to say which content is meant. The key of a job has the content alone: a file
    that is moved leaves results as they are, one that is overwritten makes them stale. A job whose file is
    not the one that was planned with fails.

    Attributes:
        path: absolute.
        sha256: of the content, in hexadecimal digits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path = Field(description="where the file is")
    sha256: str = Field(description="SHA-256 of its content, in hexadecimal digits")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        if isinstance(value, str | Path):
            path = _absolute(value)
            return {"path": path, "sha256": _sha256(path)}
        if isinstance(value, dict) and isinstance(value.get("path"), str | Path):
            path = _absolute(value["path"])
            return {"sha256": _sha256(path), **value, "path": path}
        if isinstance(value, InputFile):
            return value
        raise ValueError("expected the path of a file")

    @model_validator(mode="after")
    def _is_the_one(self) -> Self:
        digest = _sha256(self.path)
        if digest != self.sha256:
            raise ValueError(
                f"expected a file whose sha256 is {self.sha256[:12]}…, got {self.path}, whose sha256 is"
                f" {digest[:12]}…"
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string", "minLength": 1}, handler.resolve_ref_schema(handler(schema))]}


def is_input_file(value: object) -> bool:
    """Whether a value of JSON is an ``InputFile`` as it is written down."""
    return isinstance(value, dict) and value.keys() == InputFile.model_fields.keys()


def by_content(value: Any) -> Any:
    """Return a value of JSON with each ``InputFile`` in it replaced by the digest of its content."""
    if is_input_file(value):
        return {"sha256": value["sha256"]}
    if isinstance(value, dict):
        return {key: by_content(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_content(item) for item in value]
    return value


def _absolute(given: str | Path) -> Path:
    return Path(given).expanduser().absolute()


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise problem("", f"expected a file, got {path}, which {_say_what_is_there(path)}", _RELATIVE)
    try:  # gigabytes of weights are read once for all jobs, and again when the file has changed
        return str(remember_by_file(path, "sha256", _digest)["sha256"])
    except OSError as error:
        raise ValueError(f"expected a file, got {path}, which cannot be read: {error.strerror}") from error


def _say_what_is_there(path: Path) -> str:
    if path.is_dir():
        return "is a folder"
    if path.exists():
        return "is a pipe or device"
    if path.is_symlink():
        return f"is a link to {path.readlink()}, which does not exist"
    return "does not exist"


def _digest(path: Path) -> tuple[dict[str, Any], bool]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest()}, True
