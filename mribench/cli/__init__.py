"""The command line: options, help texts, and the one place where errors are caught.

What a command does lies in ``commands``: nothing that is heavy is imported for ``--help``.
"""

from __future__ import annotations

import io
import sys
import traceback

import click

from mribench import __version__
from mribench.cli.benchmarks import plan, run, views
from mribench.cli.data import data_group
from mribench.cli.installed import doctor, list_entries, plugins, schema
from mribench.cli.jobs import cancel, clean, retry, status
from mribench.cli.options import OrderedGroup
from mribench.cli.results import check, compare, report, verify
from mribench.cli.weights import weights_group
from mribench.commands.signals import EndedBySignalError
from mribench.commands.streams import discard_rest, explain_full_disk, finish, prepare_streams
from mribench.errors import MRIBenchError
from mribench.user import ensure_user_name

_GO_ON = "nothing is lost: the same command goes on from here"
_LONGEST = 4000  # characters of one message


@click.group(
    cls=OrderedGroup,
    commands=[
        run, plan, views, report, compare, check, verify, status, cancel, retry, clean, list_entries, plugins,
        data_group, weights_group, schema, doctor,
    ],
    context_settings={"max_content_width": 100},
    epilog="Example: mribench run benchmarks/quickstart.yaml",
)  # fmt: skip
@click.version_option(__version__, prog_name="mribench")
def cli() -> None:
    """Compare self-supervised methods on 3D MRI, fairly.

    A benchmark file says what is compared; `run` does what is not done yet, `report` shows what is known.
    """


def main() -> None:
    """Run the command line; exit 0 when all is good, 1 when a job failed, 2 for wrong use.

    Exit 130 when the user stopped it, 128 and the number of another signal that ended a run.

    Exit 1 without a word when the reader of a pipe has gone: not all was said.
    """
    prepare_streams()
    ensure_user_name()
    try:
        code = _called()
        finish()
    except BrokenPipeError:
        code = 1
    except OSError as error:  # of the last words, which the buffer held
        code = _unexpected(error)
    discard_rest()
    _forget_interrupt()
    sys.exit(code)


def _forget_interrupt() -> None:
    """Let the exit code be the one that was chosen.

    CPython (``Py_RunMain``) ends a process by SIGINT itself, whatever its exit code, once an interrupt came
    out of code that was given as text, however it was caught then; importing a data class runs such code.
    """
    exec("")  # noqa: S102 - text, which sets the mark back


def _called() -> int:
    """Run the command; say what went wrong; return the exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except MRIBenchError as error:
        _refuse(error.message, error.hint)
        return 2
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo("\n".join(map(_harmless, said.getvalue().split("\n"))), err=True, nl=False)
        return 2
    except EndedBySignalError as error:
        click.echo(f"\nstopped by {error}; {_GO_ON}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # click takes the end of any stream for the user's
            return _unexpected(error.__cause__)
        click.echo(f"\nstopped; {_GO_ON}", err=True)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:  # noqa: BLE001 - an unexpected error keeps its traceback
        return _unexpected(error)
    return code if isinstance(code, int) else 0


def _unexpected(error: Exception) -> int:
    sentence = explain_full_disk(error) if isinstance(error, OSError) else ""
    if sentence:
        discard_rest()  # else the same is tried, and said, again
        _refuse(sentence, "free some space, or write to another disk")
        return 2
    traceback.print_exception(error)
    click.echo(
        "\nThis is a defect of mribench or of a plugin, not of your input. Results on disk are safe;"
        " each job's own log is in results/<benchmark>/jobs/<key>/log.txt.",
        err=True,
    )
    return 1


def _refuse(message: str, hint: str) -> None:
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    click.echo(_harmless(message), err=True)
    if hint:
        click.secho("hint:  ", fg="cyan", err=True, nl=False)
        click.echo(_harmless(hint), err=True)


def _harmless(text: str) -> str:
    """Return a sentence with its control characters spelled out: paths and names are the user's."""
    from mribench.wording import printable

    return printable(text, _LONGEST)
