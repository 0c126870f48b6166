"""Standard output and standard error: any encoding, a reader that has gone, a disk that is full."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata

import click

_HANDLER = "mribench-plain"
_PLAIN = {
    "±": "+-", "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "←": "<-", "↑": "up",
    "↓": "down", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "·": ".", "•": "*", "’": "'", "‘": "'",
    "“": '"', "”": '"', "─": "-", "━": "-", "│": "|", "┃": "|",
    "\N{NO-BREAK SPACE}": " ", "\N{REPLACEMENT CHARACTER}": "?",
}  # fmt: skip
"""What stands for the signs of tables and sentences where an encoding lacks them."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def prepare_streams() -> None:
    """Have both streams spell out what their encoding lacks, so that no name or sign stops a command."""
    codecs.register_error(_HANDLER, _replace_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def put(text: str) -> None:
    """Print the text of a file: to a pipe or a file in UTF-8, as ``--output`` writes it."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    click.echo(text if terminal else text.encode("utf-8", "backslashreplace"), nl=False)


def explain_full_disk(error: OSError) -> str:
    """Return a sentence about a full disk; empty where an error is about something else."""
    if error.errno not in _NO_ROOM:
        return ""
    return f"cannot write {error.filename or 'the output'}: {error.strerror}"


def finish() -> None:
    """Write out what is left in the buffers, while an error can still be told.

    Raises:
        OSError: as writing does.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def discard_rest() -> None:
    """Send what is left to nowhere: the interpreter would try again at its end, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _replace_unencodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return a plain sign, the letter below an accent, or the number of characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_spell, lacking)), error.end


def _spell(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if "\N{BOX DRAWINGS LIGHT HORIZONTAL}" <= character <= "\N{BOX DRAWINGS HEAVY LEFT AND LIGHT RIGHT}":
        return "+"
    letters = unicodedata.normalize("NFKD", character)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return bare if bare.isascii() and bare.isprintable() else ascii(character)[1:-1]
