"""Weights that an encoder is given from outside, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mribench.interfaces.input_contract import InputContract
from mribench.interfaces.input_file import InputFile
from mribench.interfaces.options import EncoderRef, Options
from mribench.validation import describe, problem

MANIFEST_SUFFIX = ".yaml"
"""What stands after the whole name of a file in that of its manifest."""
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _check_expressions(rules: dict[str, str]) -> dict[str, str]:
    for pattern, replacement in rules.items():
        try:
            re.sub(pattern, replacement, "")
        except (re.error, IndexError) as error:
            raise ValueError(f"'{pattern}: {replacement}' is no regular expression: {error}") from None
    return rules


class ParityVector(Options):
    """An image and the embedding that the published code makes of it, which the encoder must make too."""

    seed: int | None = Field(
        None,
        ge=0,
        description="The image is `torch.randn(shape)` on the CPU, after `torch.manual_seed(seed)`.",
    )
    shape: tuple[Annotated[int, Field(gt=0)], ...] | None = Field(
        None, min_length=5, max_length=5, description="Of that image, (B, 1, I, J, K)."
    )
    image: InputFile | None = Field(
        None, description="A safetensors file with the tensor `image`, in place of `seed` and `shape`."
    )
    embedding: tuple[float, ...] | InputFile = Field(
        description="The embedding of the first image, as numbers or as the tensor `embedding` of a "
        "safetensors file."
    )
    tolerance: float = Field(gt=0, description="Largest difference that a number of it may have.")

    @model_validator(mode="after")
    def _check_image(self) -> ParityVector:
        drawn = (self.seed is not None, self.shape is not None)
        if (self.image is None) != all(drawn) or any(drawn) != all(drawn):
            raise problem("", "expected `seed` and `shape`, or `image`, and not both")
        return self


class _Known(Options):
    """What can be said of a file of weights, beside it or in a benchmark file."""

    at: str | None = Field(
        None,
        description="Where the file has the tensors; its top, or its one mapping of them, if null.",
    )
    prefixes: dict[str, str] = Field(
        default_factory=dict,
        description="Dotted places of texts in the file that tensors' names begin with, and what stands in "
        "their place in the encoder: `plan.key_to_encoder: stages`. Before `rename`.",
    )
    rename: Annotated[dict[str, str], AfterValidator(_check_expressions)] = Field(
        default_factory=dict,
        description="Regular expressions and what replaces them in names of the file's tensors, in order.",
    )
    missing: list[str] = Field(
        default_factory=list,
        description="Tensors of the encoder that may keep their start values, by pattern (`*.norm.*`).",
    )
    unexpected: list[str] = Field(
        default_factory=list,
        description="Tensors of the file, renamed, that may have no place in the encoder, by pattern.",
    )
    other_shape: list[str] = Field(
        default_factory=list,
        description="Tensors of another shape, which may keep their start values, by pattern.",
    )
    licence: str | None = Field(None, description="Under which the weights were published, for people.")
    upstream: str | None = Field(None, description="Where they are from: a URL or DOI, for people.")
    encoder: EncoderRef | None = Field(
        None, description="The encoder that they are for, with its options; a method may name none."
    )
    embedding: str | None = Field(
        None, description="How their authors make an embedding of the features, for people."
    )
    input: InputContract | None = Field(None, description="What the encoder wants to see.")
    parity: ParityVector | None = Field(
        None,
        description="An image and its embedding, which the encoder must make wherever it is loaded.",
    )


class WeightsManifest(_Known):
    """What lies beside a file of weights, as ``FILE.yaml``."""

    sha256: _Sha256 = Field(description="SHA-256 of the file that it is about, in hexadecimal digits.")
    pretrained_on: Literal["unknown"] | list[str] | None = Field(
        None, description="As in a benchmark file; people are named as `namespace:name`."
    )


class GivenWeights(_Known):
    """Weights of an encoder from a file, and how its tensors get the encoder's names.

    Every tensor is accounted for: what the encoder lacks, what it has no place for and what is of another
    shape is an error, unless a pattern allows it. A path alone will do where a manifest (``WeightsManifest``)
    lies beside the file; what is written here is said in its place.
    """

    file: InputFile = Field(
        description="The file: safetensors, or what torch.save wrote; nothing in it is run."
    )
    pretrained_on: Literal["unknown"] | list[str] = Field(
        description="Whose images they were learnt from: cohorts under `data`, people as `namespace:name`, "
        "an empty list for nobody in this benchmark, or `unknown`, which tables show."
    )

    @model_validator(mode="before")
    @classmethod
    def _lay_over_manifest(cls, value: object) -> object:
        """Return what is given, laid over what the manifest beside the file says."""
        if isinstance(value, str | Path):
            value = {"file": value}
        if not isinstance(value, dict) or "file" not in value:
            return value
        try:
            file = InputFile.model_validate(value["file"])
        except ValidationError:
            return value  # which says what is wrong with the file, at its place
        known = _read_manifest(file)
        if not known and "pretrained_on" not in value:
            raise problem(
                "pretrained_on",
                f"required, and not given; no manifest {manifest_path(file.path).name} lies beside the file",
                "write [] for nobody in this benchmark, or `unknown`",
            )
        return {**known, **value, "file": file} if known else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        spelled_out = {**handler.resolve_ref_schema(handler(schema)), "required": ["file"]}
        return {"anyOf": [{"type": "string", "minLength": 1}, spelled_out]}

    @property
    def people(self) -> Sequence[str]:
        """Who is named by name, as ``namespace:name``."""
        named = [] if self.pretrained_on == "unknown" else self.pretrained_on
        return [name for name in named if ":" in name]

    @property
    def cohorts(self) -> Sequence[str]:
        """The cohorts that are named."""
        named = [] if self.pretrained_on == "unknown" else self.pretrained_on
        return [name for name in named if ":" not in name]


def manifest_path(file: Path) -> Path:
    """Return where the manifest of a file of weights lies, whether there is one or not."""
    return file.with_name(file.name + MANIFEST_SUFFIX)


def _read_manifest(file: InputFile) -> dict[str, Any]:
    """Return what the manifest beside a file says of it; nothing without one."""
    path = manifest_path(file.path)
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        manifest = WeightsManifest.model_validate(content)
    except ValidationError as error:
        wrong = describe(error, WeightsManifest)
        raise problem("", f"the manifest {path}: {wrong.message}", wrong.hint) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise problem("", f"the manifest {path} cannot be read: {said}") from None
    if manifest.sha256 != file.sha256:
        raise problem(
            "",
            f"the manifest {path} is of a file whose sha256 is {manifest.sha256[:12]}…, and that of"
            f" {file.path.name} is {file.sha256[:12]}…",
            "the file was changed or replaced: get it again, or write a manifest of this one",
        )
    known = manifest.model_dump(mode="json", exclude_unset=True, exclude={"sha256"})
    return {name: value for name, value in known.items() if value is not None}
