"""What the command line writes to: any encoding, a reader that has gone, a full disk, a narrow terminal."""

from __future__ import annotations

import codecs
import errno
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked import parent
from rich.console import Console
from rich.table import Table

from mribench.commands.streams import explain_full_disk, prepare_streams
from mribench.commands.terminal import print_table

PAPER = Path(__file__).parents[2] / "plugins" / "mribench_paper" / "paper.csv"
FULL = Path("/dev/full")
TERMINAL = ("report", str(PAPER), "--table", "table-2")
COMMANDS = [
    TERMINAL, (*TERMINAL, "--format", "csv"), (*TERMINAL, "--format", "markdown"), ("list", "executor"),
    ("--help",),
]  # fmt: skip


Start = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Run a command in a process with standard output as given; return how it ended and its complaints.

    Processes are forks of one that has imported mribench; ``--help``, which imports little, is started anew.
    """
    with parent() as running:

        def _start(*arguments: str, out: int, **environment: str) -> tuple[int, str]:
            with tempfile.TemporaryFile() as err:
                if arguments == ("--help",):
                    command = [sys.executable, "-m", "mribench", *arguments]
                    whole = os.environ | environment
                    code = subprocess.run(command, stdout=out, stderr=err, env=whole, check=False).returncode
                else:
                    code = running.run(arguments, out, err.fileno(), environment)
                err.seek(0)
                return code, err.read().decode()

        yield _start


@pytest.fixture
def run(start: Start) -> Callable[..., tuple[int, bytes, str]]:
    """Run a command as ``start`` does, to a file; return what it printed too."""

    def _run(*arguments: str, **environment: str) -> tuple[int, bytes, str]:
        with tempfile.TemporaryFile() as out:
            code, err = start(*arguments, out=out.fileno(), **environment)
            out.seek(0)
            return code, out.read(), err

    return _run


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_tables_are_printed_in_any_encoding(run, encoding: str) -> None:
    code, out, err = run(*TERMINAL, PYTHONIOENCODING=encoding)
    assert (code, err) == (0, "")
    text = out.decode(encoding)
    assert ("±" if encoding != "ascii" else "+-") in text
    assert ("↑" if encoding == "utf-8" else "up") in text
    assert "\\x" not in text
    assert "\\u" not in text


def test_boxes_are_printed_in_ascii(run) -> None:
    code, out, err = run("list", "executor", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert b"inline" in out


def test_files_in_a_pipe_are_utf_8_whatever_the_terminal_speaks(run) -> None:
    code, out, _ = run(*TERMINAL, "--format", "markdown", PYTHONIOENCODING="ascii")
    assert code == 0
    assert "±" in out.decode("utf-8")


@pytest.mark.parametrize(
    ("text", "plain"),
    [("12 ± 3 → 4 …", "12 +- 3 -> 4 ..."), ("Zürich", "Zurich"), ("½", "\\xbd"), ("日", "\\u65e5"),
     ("─┃╇", "-|+"), ("\udcff", "\\udcff"), ("x²", "x2"), ("\N{NO-BREAK SPACE}", " ")],
)  # fmt: skip
def test_what_stands_for_a_character(text: str, plain: str) -> None:
    prepare_streams()
    assert text.encode("ascii", "mribench-plain").decode() == plain
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "ascii", "mribench-plain")


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[-1])
def test_a_reader_that_has_gone_hears_nothing(start, arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    code, err = start(*arguments, out=write)
    os.close(write)
    assert err == ""
    assert code == 1, "not all was said"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: words[-1])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_is_one_sentence(start, arguments: tuple[str, ...], buffered: str) -> None:
    with FULL.open("wb") as full:
        code, err = start(*arguments, out=full.fileno(), PYTHONUNBUFFERED=buffered)
    assert code == 2
    assert err.splitlines() == [
        "error: cannot write the output: No space left on device",
        "hint:  free some space, or write to another disk",
    ]


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_below_an_output(mribench) -> None:
    said = mribench("report", PAPER, "--format", "csv", "--output", FULL)
    assert said.code == 2
    assert said.message == f"cannot write {FULL}: No space left on device"


def test_other_errors_are_no_lack_of_room() -> None:
    assert explain_full_disk(PermissionError(errno.EACCES, "no", "x")) == ""
    assert explain_full_disk(OSError(errno.ENOSPC, "full", "a.pt")) == "cannot write a.pt: full"


# ---- control characters --------------------------------------------------------------------------------

ESCAPE = "a\x1b[31m\nb\x07"


@pytest.mark.parametrize(
    "arguments",
    [("report", PAPER, "--table", ESCAPE), ("report", ESCAPE), ("report", f"{ESCAPE}.csv"),
     ("report", PAPER, "--against", ESCAPE), (ESCAPE,), ("report", f"--{ESCAPE}"),
     ("report", PAPER, "--format", ESCAPE), ("compare", "x", ESCAPE, "b"), ("status", ESCAPE),
     ("views", f"{ESCAPE}.yaml"), ("verify", ESCAPE), ("run", ESCAPE), ("data", "check", ESCAPE)],
    ids=lambda words: words[0].partition("\x1b")[0],
)  # fmt: skip
def test_control_characters_of_the_user_are_spelled_out(mribench, arguments) -> None:
    said = mribench(*arguments)
    assert said.code == 2
    assert "Traceback" not in said.err
    for sign in "\x1b\x07":
        assert sign not in said.out + said.err
    if said.err.startswith("error: "):
        assert len([line for line in said.err.splitlines() if line]) <= 2, "one line each"


def test_control_characters_of_a_path_that_is_written(mribench, tmp_path) -> None:
    said = mribench("report", PAPER, "--format", "csv", "--output", tmp_path / "a\x1b[31m.csv")
    assert said.code == 0
    assert said.err == f"wrote {tmp_path}/a\\x1b[31m.csv\n"


# ---- narrow terminals ----------------------------------------------------------------------------------


def printed(width: int, *, fold: bool = False, rows: int = 2) -> list[str]:
    table = Table(title="a title")
    table.add_column("name", overflow="fold" if fold else "ellipsis")
    table.add_column("what it is")
    table.add_column("count", justify="right")
    for row in range(rows):
        table.add_row(f"averyveryverylongname{row}", "some words [dim]that[/] break", f"{row}00")
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [10, 20, 30, 39, 40, 41, 42, 43, 44, 45, 60, 100])
def test_words_are_never_cut(width: int) -> None:
    lines = printed(width)
    assert "…" not in "".join(lines)
    words = {word for line in lines for word in line.replace("│", " ").split()}
    assert {"averyveryverylongname0", "averyveryverylongname1", "words", "that", "100"} <= words
    assert max(map(len, lines)) <= max(width, len("averyveryverylongname0"))


def test_a_table_that_has_no_room_is_shown_row_by_row() -> None:
    assert printed(40) == [
        "a title",
        "averyveryverylongname0", "  what it is: some words that break", "  count: 000",
        "averyveryverylongname1", "  what it is: some words that break", "  count: 100",
    ]  # fmt: skip
    assert "│" in "".join(printed(60))


def test_a_column_that_may_fold_keeps_the_table() -> None:
    assert len(printed(41)) == 7
    assert "│" in "".join(printed(41, fold=True))
    assert "│" not in "".join(printed(30, fold=True))
    assert printed(30, fold=True, rows=0)


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize(
    "words", [("list",), ("list", "metric"), ("plugins", "list"), ("plan",), ("data", "check")], ids=" ".join
)
def test_no_table_of_a_command_is_cut(mribench, file, tmp_path, monkeypatch, words, columns) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.chdir(tmp_path)
    said = mribench(*words, *((file,) if words[0] in ("plan", "data") else ()))
    assert said.code == 0
    assert "…" not in said.out
