"""Whether what a command is to write can be written where it was asked to: known before it works."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mribench.errors import ConfigError
from mribench.results.places import check_file, check_folder

FORMAT_OF = {
    ".md": "markdown", ".markdown": "markdown", ".tex": "latex", ".html": "html", ".htm": "html",
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".json": "json",
}  # fmt: skip
"""Which format the suffix of a file says; others say nothing."""


def check_output(output: Path | None, output_format: str, sources: Iterable[Path | str | None] = ()) -> None:
    """Refuse a file for ``--output`` that cannot be written, or that ought not to be.

    Args:
        output: the file; None for standard output.
        output_format: of ``--format``.
        sources: what the command reads.

    Raises:
        ConfigError: when it cannot be written, its suffix says another format, or it is a source.
    """
    if output is None:
        return
    said = FORMAT_OF.get(output.suffix.lower(), output_format)
    if said != output_format:
        raise ConfigError(
            f"--output {output}: the name says {said}, and --format is {output_format}",
            f"add --format {said}, or choose another name",
        )
    for source in sources:
        if source is not None and output.is_file() and output.resolve() == Path(source).resolve():
            raise ConfigError(f"--output {output}: is what is read here", "choose another name")
    check_file(output, "--output")


def check_save(folder: Path) -> None:
    """Refuse a folder for ``--save`` that the files of a report cannot be written to.

    Raises:
        ConfigError: when it is a file or somebody else's, or has folders where files are to be.
    """
    check_folder(folder, "--save")
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix in FORMAT_OF and path.is_dir():
            raise ConfigError(
                f"--save {path}: is a folder, and a file of that name is to be written", "move it away"
            )
