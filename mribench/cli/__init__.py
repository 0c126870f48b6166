"""The command line: one thin module per command, and the one place where errors are caught.

Modules here import what is heavy inside their functions, so that ``--help`` needs no torch.
"""

from __future__ import annotations

import sys
import traceback

import click

from mribench import __version__
from mribench.cli.lazy import LazyGroup
from mribench.errors import MRIBenchError

COMMANDS = (
    "run", "plan", "views", "report", "compare", "verify", "status",
    "list", "plugins", "data", "schema", "doctor",
)  # fmt: skip
"""In the order of the help text; each is ``mribench.cli.<name>`` with a command ``command``."""
_MODULES = {name: f"mribench.cli.{'listing' if name == 'list' else name}" for name in COMMANDS}


@click.group(
    cls=LazyGroup,
    modules=_MODULES,
    context_settings={"max_content_width": 100},
    epilog="Example: mribench run benchmarks/quickstart.yaml",
)
@click.version_option(__version__, prog_name="mribench")
def cli() -> None:
    """Compare self-supervised methods on 3D MRI, fairly.

    A benchmark file says what is compared; `run` does what is not done yet, `report` shows what is known.
    """


def main() -> None:
    """Run the command line; exit 0 when all is good, 1 when a job failed, 2 for wrong use."""
    try:
        code = cli.main(standalone_mode=False)
    except MRIBenchError as error:
        click.secho("error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(error.message, err=True)
        if error.hint:
            click.secho("hint:  ", fg="cyan", err=True, nl=False)
            click.echo(error.hint, err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nstopped; nothing is lost: the same command goes on from here", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception:  # noqa: BLE001 - an unexpected error keeps its traceback
        traceback.print_exc()
        click.echo(
            "\nThis is a defect of mribench or of a plugin, not of your input. Results on disk are safe;"
            " each job's own log is in results/<benchmark>/jobs/<key>/log.txt.",
            err=True,
        )
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
