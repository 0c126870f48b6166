"""The documents are true: examples, help texts, command lines, YAML, counts, links.

``python tests/test_docs.py`` writes the generated parts of README.md and docs/architecture.md anew.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import mribench
from mribench import hookspecs
from mribench.cli import cli
from mribench.config import load_benchmark
from mribench.config.overrides import merge
from mribench.execute.asked import CONFIG, EXECUTORS, check_executor
from mribench.interfaces import KINDS, ExecutorRef, Resources

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
EXAMPLE = ROOT / "plugins/example-method/mribench_example_method.py"
WIDTH = 100
DOCUMENTS = (
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/README.md", "benchmarks/README.md",
    "docs/subject-tasks.md", "docs/clusters.md",
    "plugins/README.md", "plugins/example-method/README.md", "plugins/mribench_paper/README.md",
    "docs/data.md", "docs/methods.md", "docs/own-data.md", "docs/views.md",
    "docs/metrics.md", "docs/weights.md", "docs/report.md", "docs/compare.md", "docs/architecture.md",
)  # fmt: skip
GENERATED = {
    "example": "README.md", "commands": "README.md",
    "rooms": "docs/architecture.md", "layers": "docs/architecture.md",
}  # fmt: skip
"""Which document a generated part stands in."""
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str, language: str) -> list[str]:
    return [body for found, body in _FENCE.findall(text_of(document)) if found == language]


def part(text: str, name: str) -> str:
    """Return what stands between a pair of comment markers."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    assert text.count(start) == 1, name
    assert text.count(end) == 1, name
    return text.partition(start)[2].partition(end)[0]


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it, groups before what is in them."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


def help_of(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(cli, [*path, "--help"], prog_name="mribench", terminal_width=WIDTH)
    assert result.exit_code == 0, result.output
    return result.output.strip("\n")


def generated() -> dict[str, str]:
    helps = [
        f"### `{' '.join(('mribench', *path))}`\n\n```text\n{help_of(path)}\n```\n"
        for path, _ in commands(cli)
    ]
    source = EXAMPLE.read_text(encoding="utf-8")
    return {
        "example": f"```python\n{source}```\n",
        "commands": "\n".join(helps),
        "rooms": rooms_table(),
        "layers": f"```text\n{layers_text()}```\n",
    }


def rooms_table() -> str:
    """Return what belongs in each package of the core, and what does not, as their docstrings say."""
    lines = ["| room | what belongs there | what does not |", "|---|---|---|"]
    for file in sorted((ROOT / "mribench").rglob("__init__.py")):
        belongs, _, rest = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition(
            "\n\n"
        )
        elsewhere = rest.partition("\n\n")[0]
        texts = (text.replace("\n", " ").replace("``", "`") for text in (belongs, elsewhere))
        lines.append(f"| `{file.parent.relative_to(ROOT)}` | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def layers_text() -> str:
    """Return the layers of the import contract, the highest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (core,) = [contract for contract in contracts if contract.get("containers") == ["mribench"]]
    return "".join(f"{layer}\n" for layer in core["layers"])


@pytest.mark.parametrize("name", GENERATED)
def test_generated_part(name: str) -> None:
    """Again: python tests/test_docs.py."""
    assert part(text_of(GENERATED[name]), name) == generated()[name]


def test_every_room_says_what_belongs_there_and_what_does_not() -> None:
    for line in rooms_table().splitlines()[2:]:
        _, room, belongs, elsewhere, _ = line.split("|")
        assert belongs.strip().endswith((".", "?")), room
        assert elsewhere.strip(), room


def test_help_needs_no_torch() -> None:
    import subprocess

    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom mribench.cli import cli\n"
        "for name in cli.commands: CliRunner().invoke(cli, [name, '--help'])\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_every_command_has_an_example() -> None:
    for path, command in commands(cli):
        if not isinstance(command, click.Group):
            assert f"mribench {' '.join(path)}" in (command.epilog or ""), path


# Command lines


def command_lines(document: str) -> list[str]:
    """Return the command lines of the bash blocks and of the indented blocks that call mribench."""
    text = text_of(document)
    lines = "".join(blocks(document, "bash")).replace("\\\n", " ").splitlines()
    lines += re.findall(r"^    (mribench .*)$", _FENCE.sub("", text), re.MULTILINE)
    return [line.strip() for line in lines if line.strip().startswith("mribench ")]


def epilog_lines() -> list[str]:
    return [line for _, command in commands(cli) for line in re.findall(r"mribench .+", command.epilog or "")]


def parse(line: str) -> None:
    """Parse a command line as mribench would, without running it."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="mribench")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:
            raise click.UsageError(f"no command '{words[0]}'")
        command, words = inner, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    try:
        command.make_context(command.name, words, parent=context.parent)
    except click.exceptions.Exit:
        return  # --help


ALL_LINES = [(document, line) for document in DOCUMENTS for line in command_lines(document)]
ALL_LINES += [("help", line) for line in epilog_lines()]


@pytest.mark.parametrize(("document", "line"), ALL_LINES, ids=[line for _, line in ALL_LINES])
def test_command_line_parses(
    document: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("quickstart", "paper"):
        (tmp_path / "results" / name).mkdir(parents=True)  # as after a run
    monkeypatch.chdir(tmp_path)
    parse(line)


@pytest.mark.parametrize(
    "line",
    ["mribench runn x.yaml", "mribench run", "mribench plan a.yaml --sett b=c", "mribench status nowhere"],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_on_command_lines_exist(document: str) -> None:
    for line in command_lines(document):
        for word in shlex.split(line, comments=True):
            if word.startswith("benchmarks/") and word.endswith(".yaml"):
                assert (ROOT / word).is_file(), line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    used = re.findall(r"`make ([a-z]+)`", text_of(document))
    used += re.findall(r"^make ([a-z]+)", "".join(blocks(document, "bash")), re.MULTILINE)
    assert set(used) <= targets


# YAML


@pytest.fixture(scope="module")
def registry() -> Any:
    """All plugins of this installation and the example, installed or not."""
    from mribench.plugins import GROUP, GROUPS, load_registry

    installed = [point for group in GROUPS for point in entry_points(group=group)]
    points = [point for point in installed if point.name != "example-method"]
    sys.path.insert(0, str(EXAMPLE.parent))
    try:
        return load_registry([*points, EntryPoint("example-method", EXAMPLE.stem, GROUP)])
    finally:
        sys.path.remove(str(EXAMPLE.parent))


def yaml_blocks() -> list[tuple[str, str]]:
    return [(document, body) for document in DOCUMENTS for body in blocks(document, "yaml")]


@pytest.mark.parametrize(("document", "body"), yaml_blocks(), ids=[document for document, _ in yaml_blocks()])
def test_yaml_block_is_a_benchmark(
    document: str, body: str, tmp_path: Path, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fragment is laid over the quickstart; files of weights that it names are there."""
    from mribench.config import resolve

    tree = yaml.safe_load(body)
    if "sha256" in tree:
        pytest.skip("a manifest of weights, which the block before it reads")
    if set(tree) <= {item.entry.name for item in registry if item.entry.kind == "executor"}:
        (tmp_path / EXECUTORS).write_text(body, encoding="utf-8")
        monkeypatch.setenv(CONFIG, str(tmp_path))
        for name in tree:
            check_executor(name, ExecutorRef(name="local"), "", Resources(), registry)
        return
    if "benchmark" not in tree:
        tree = merge(yaml.safe_load(text_of("benchmarks/quickstart.yaml")), tree)
    for method in tree["methods"].values():
        if "weights" in method:
            monkeypatch.chdir(tmp_path)
            place_weights(document, method["weights"])
    file = tmp_path / "block.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    resolve(load_benchmark(file), registry)


def place_weights(document: str, given: str | dict[str, Any]) -> None:
    """Write an empty file of weights, and the manifest that a document has of it where its path is all."""
    file = given if isinstance(given, str) else given["file"]
    Path(file).touch()
    if isinstance(given, str):
        (manifest,) = [body for body in blocks(document, "yaml") if body.startswith(f"# {file}.yaml\n")]
        Path(f"{file}.yaml").write_text(manifest, encoding="utf-8")
        Path(yaml.safe_load(manifest)["parity"]["embedding"]).touch()


# Python


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_block_compiles(document: str) -> None:
    for body in blocks(document, "python"):
        ast.parse(body)


def test_conformance_block_runs(monkeypatch: pytest.MonkeyPatch, registry: Any) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    (body,) = [body for body in blocks("README.md", "python") if "test_conformance" in body]
    names: dict[str, Any] = {}
    exec(body, names)  # noqa: S102 - the README's own block
    for entry in names["mribench_entries"]():
        names["test_conformance"](entry)


# The plugin reference


def test_hooks_are_headings() -> None:
    specs = [
        (name, function)
        for name, function in vars(hookspecs).items()
        if inspect.isfunction(function) and hasattr(function, "mribench_spec")
    ]
    assert specs
    for name, function in specs:
        signature = str(inspect.signature(function)).replace("'", "")
        assert f"\n### `def {name}{signature}`\n" in README.read_text(encoding="utf-8")


_FURTHER_ARGUMENTS = {
    "objective": "encoder",
    "decoder": "encoder, out_channels",
    "executor": "resources",
    "probe": "n_classes",
}


def test_table_of_kinds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (`.+`) \| `(\(.+\))` \|", text_of("README.md"), re.MULTILINE)
    assert tuple(kind for kind, _, _ in rows) == KINDS
    for kind, bases, called in rows:
        for base in re.findall(r"`(\w+)`", bases):
            assert inspect.isabstract(getattr(mribench.interfaces, base)), kind
        extra = _FURTHER_ARGUMENTS.get(kind)
        assert called == (f"(options, {extra})" if extra else "(options)")


def test_results_files_are_those_of_the_code() -> None:
    """The files named in README's tree are named in the code that writes them."""
    (tree,) = [body for body in blocks("README.md", "text") if body.startswith("results/<benchmark>/")]
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "mribench").rglob("*.py")))
    for name in re.findall(r"^ +([a-z]+\.(?:json|txt|parquet|safetensors))", tree, re.MULTILINE):
        assert f'"{name}"' in code, name


# Counts


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return (jobs of methods, all jobs) of a benchmark file, without its data."""
    for name in ("MRIBENCH_IXI", "MRIBENCH_ARC", "MRIBENCH_MPM", "MRIBENCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MRIBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def count(*arguments: str) -> tuple[int, int]:
        arguments = (str(ROOT / arguments[0]), *arguments[1:], "--results", str(tmp_path / "results"))
        result = CliRunner().invoke(cli, ["plan", *arguments])
        assert result.exit_code == 0, result.output
        (row,) = [line for line in result.output.splitlines() if re.match(r"\W*all\b", line)]
        every, own = re.findall(r"\d+", row)[:2]
        return int(own), int(every)

    return count


def test_counts_of_jobs(counted: Any) -> None:
    text = " ".join(text_of("README.md").split())
    own, every = counted("benchmarks/paper.yaml")
    assert f"{own} a seed for the methods' own cells, {every} with the reference arms" in text, (own, every)
    _, before = counted("benchmarks/quickstart.yaml")
    sets = ("--set", "methods.x.views=seqinv", "--set", "methods.x.objective=simclr-recon")
    _, after = counted("benchmarks/quickstart.yaml", *sets)
    assert f"this runs {after - before} new jobs; the other {before} are taken" in text


def test_numbers_of_the_code() -> None:
    from mribench.interfaces.executor import CHECKPOINT_EVERY_S
    from mribench.jobs import collapse
    from mribench.jobs.pretrain import CHECK_ROUNDS
    from mribench.results.lease import STALE_S
    from mribench.results.records import MIN_CHECKED
    from mribench.statistics.difference import ENOUGH_SEEDS

    text = " ".join(text_of("README.md").split())
    assert f"p < {collapse.ALPHA} over all orders" in text
    assert f"mean cosine between subjects above {collapse.MAX_COSINE}" in text
    assert f"above {100 * collapse.MAX_DIRECTION_SHARE:g} % of the variance along one direction" in text
    assert f"below {MIN_CHECKED} subjects" in text
    assert collapse.MAX_SUBJECTS == CHECK_ROUNDS == 8
    assert "eight subjects" in text
    assert "eight draws of each" in text
    assert ENOUGH_SEEDS == 5
    assert "With two to four seeds" in text
    assert STALE_S == 120
    assert "two minutes old" in text
    assert CHECKPOINT_EVERY_S == 60
    assert "written every minute" in text


# Links and versions


@pytest.mark.parametrize("document", DOCUMENTS)
def test_relative_links_exist(document: str) -> None:
    for target in _LINK.findall(_FENCE.sub("", text_of(document))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_changelog_has_this_version() -> None:
    assert re.search(rf"^## {re.escape(mribench.__version__)}\b", text_of("CHANGELOG.md"), re.MULTILINE)


def test_changelog_has_this_results_version() -> None:
    assert f"`RESULTS_VERSION` {mribench.RESULTS_VERSION}" in text_of("CHANGELOG.md")


def test_first_screen() -> None:
    first = README.read_text(encoding="utf-8").splitlines()[:25]
    assert any(line.startswith("make quickstart") for line in first)
    assert any(line.startswith("make test") for line in first)


def test_quickstart_table_has_a_place() -> None:
    part(README.read_text(encoding="utf-8"), "quickstart table")


def write_generated() -> None:
    for name, content in generated().items():
        path = ROOT / GENERATED[name]
        text = path.read_text(encoding="utf-8")
        text = text.replace(f"<!-- {name} -->\n{part(text, name)}", f"<!-- {name} -->\n{content}", 1)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_generated()
