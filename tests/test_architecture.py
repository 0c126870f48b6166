"""The boundaries of design and style, read from the syntax trees of the source."""

from __future__ import annotations

import ast
import functools
import itertools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
import pytest

from mribench import cli, hookspecs
from mribench.interfaces import KINDS
from mribench.plugins import load_registry, load_tables

REPOSITORY = Path(__file__).parent.parent
CORE = REPOSITORY / "mribench"
PLUGINS = sorted(path for path in (REPOSITORY / "plugins").glob("mribench_*") if path.is_dir())
EXAMPLE = REPOSITORY / "plugins" / "example-method" / "mribench_example_method.py"
PACKAGES = {path.name for path in PLUGINS} | {EXAMPLE.stem}
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
MAX_LINES = 400


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


PRODUCT = [*sources(CORE), *(path for folder in PLUGINS for path in sources(folder)), EXAMPLE]
IDS = [str(path.relative_to(REPOSITORY)) for path in PRODUCT]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    root = REPOSITORY if CORE in path.parents else REPOSITORY / "plugins"
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def for_type_checkers(path: Path) -> set[ast.AST]:
    """Return what stands under ``if TYPE_CHECKING``, which never runs."""
    blocks = [
        node for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]  # fmt: skip
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


def imports(path: Path, *, typing_too: bool = False) -> Iterator[str]:
    """Yield ``a.b.c`` for every import of a file: ``from a.b import c`` too."""
    skipped = set() if typing_too else for_type_checkers(path)
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_the_walk_finds_imports(monkeypatch):
    path = CORE / "made_up" / "here.py"
    text = (
        "import a.b\nfrom . import c\nfrom ..d import e\n"
        "if TYPE_CHECKING:\n    import never\ndef f():\n    import late\n"
    )
    parsed = ast.parse(text)
    monkeypatch.setattr(sys.modules[__name__], "tree", lambda _: parsed)
    assert set(imports(path)) == {"a.b", "mribench.made_up.c", "mribench.d.e", "late"}
    assert "never" in set(imports(path, typing_too=True))


# (a) The core knows no plugin


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_no_plugin(path):
    assert [name for name in imports(path, typing_too=True) if name.split(".")[0] in PACKAGES] == []


# (b) … and names no entry

ENGLISH = {
    "augment": "what is done to every view, a key of benchmark files; also views of real scans",
    "subject": "a person, as columns and sentences name one; also a rule of splits",
    "site": "where somebody was scanned, as columns and sentences name it; also a rule of splits",
    "table": "rows and columns, as everything prints them; also a dataset that is listed in a file",
    "linear": "of a straight line or a weighted sum, as captions say; also a probe",
    "labelled": "that has a label, of subjects and scans; also views of such scans",
    "paper": "any paper: a profile and a style of marks are as it says; also a plugin's tables",
}
"""Names of entries that are words of the field too, and what the core means by them."""
SCANNED = {"T1w", "T2w", "PDw", "FLAIR", "qmri"}
"""Sequences that cohorts have."""
_WORD = re.compile(r"[^\W_](?:[\w:-]*\w)?")


@functools.cache
def entry_names() -> set[str]:
    return {
        item.entry.name
        for item in load_registry()
        if item.distribution == "mribench" and item.entry.kind != "executor"
    }


@functools.cache
def table_names() -> set[str]:
    """Return the tables of plugins, as those of three tasks, and the published results that they know."""
    sources, _ = load_tables()
    names = {spec.name for source in sources for spec in source.specs(("a", "b", "c"))}
    assert "paper-3" in names
    return names


def strings(path: Path) -> Iterator[str]:
    """Yield the strings of a file that are no documentation, the pieces of f-strings too."""
    documentation = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.value


def words(text: str) -> set[str]:
    """Return the words of a text; ``hd95:pooled`` is one, and two."""
    whole = set(_WORD.findall(text))
    return whole | {part for word in whole for part in word.split(":")}


def test_words_within_strings_are_found(monkeypatch):
    parsed = ast.parse(
        '"""ixi here"""\ndef f(x):\n    """cnn"""\n    return f"see seqinv/{x}: T1w, hd95:pooled"\n'
    )
    monkeypatch.setattr(sys.modules[__name__], "tree", lambda _: parsed)
    assert set().union(*map(words, strings(CORE))) == {
        "see",
        "seqinv",
        "T1w",
        "hd95:pooled",
        "hd95",
        "pooled",
    }


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_names_no_entry_and_no_sequence(path):
    names = entry_names() | table_names() | SCANNED | PACKAGES
    assert len(names) > 30
    assert set(ENGLISH) <= names, "no longer needed"
    found = {(word, text) for text in strings(path) for word in words(text) & names}
    assert {(word, text) for word, text in found if word not in ENGLISH} == set()


# (c) Plugins use the public names only

PUBLIC = (
    "mribench.hookimpl", "mribench.interfaces", "mribench.augmentation", "mribench.errors",
    "mribench.networks", "mribench.seeding", "mribench.set_scores", "mribench.testing",
    "mribench.volumes", "mribench.validation", "mribench.wording",
)  # fmt: skip
PLUGIN_FILES = [path for path in PRODUCT if CORE not in path.parents]


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_plugins_import_public_names_only(path):
    own = module_name(path).split(".")[0]
    for name in imports(path, typing_too=True):
        top = name.split(".")[0]
        if top == "mribench":
            assert any(name == public or name.startswith(f"{public}.") for public in PUBLIC), name
            assert not any(part.startswith("_") for part in name.split(".")), name
        assert top not in PACKAGES - {own}, f"another plugin: {name}"


# (d) The import contracts of pyproject.toml


def test_the_import_contracts_are_kept():
    """In a process of its own: the linter switches the loggers of its process off."""
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_for_type_checkers_count_and_every_room_is_in_a_layer():
    settings = PYPROJECT["tool"]["importlinter"]
    assert not settings.get("exclude_type_checking_imports", False)
    assert {path.name for path in PLUGINS} <= set(settings["root_packages"])
    contracts = settings["contracts"]
    assert not [contract["name"] for contract in contracts if contract.get("ignore_imports")]
    assert all(contract["exhaustive"] for contract in contracts if contract.get("containers"))
    assert not [contract["name"] for contract in contracts if contract.get("skip_descendants")]


# (e) Sizes, and (i) habits


@pytest.mark.parametrize("path", PRODUCT, ids=IDS)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def swallows(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    names = [n.id for n in ast.walk(caught) if isinstance(n, ast.Name)] if caught else []
    idle = all(
        isinstance(item, ast.Pass | ast.Continue)
        or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        for item in handler.body
    )
    return caught is None or (idle and bool({"Exception", "BaseException"}.intersection(names)))


@pytest.mark.parametrize(
    ("text", "swallowed"),
    [
        ("try:\n    f()\nexcept:\n    raise\n", True),
        ("try:\n    f()\nexcept Exception:\n    pass\n", True),
        ("try:\n    f()\nexcept (OSError, BaseException):\n    ...\n", True),
        ("try:\n    f()\nexcept OSError:\n    pass\n", False),
        ("try:\n    f()\nexcept Exception as error:\n    tell(error)\n", False),
    ],
)
def test_swallowing_is_noticed(text, swallowed):
    (handler,) = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ExceptHandler)]
    assert swallows(handler) is swallowed


@pytest.mark.parametrize("path", PRODUCT, ids=IDS)
def test_no_assert_no_swallowed_error_no_os_path_no_pickle(path):
    lines = [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)]
    assert lines == []
    handlers = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    assert [node.lineno for node in handlers if swallows(node)] == []
    unwanted = ("os.path", "pickle", "torch.load", "random")
    allowed = "pickle.UnpicklingError"  # which torch raises for a file that holds more than tensors
    assert [name for name in imports(path) if name.startswith(unwanted) and name != allowed] == []


MACHINE_PATHS = re.compile(r"(?<![\w.:/$}~-])/(?:root|home|tmp|work|Users)(?:/|\b)")


def tracked() -> list[Path]:
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [REPOSITORY / name for name in done.stdout.split("\0") if name]


@pytest.mark.parametrize(
    ("text", "found"),
    [("see " + "/".join(["", "root", "x"]), True), ("'" + "/".join(["", "tmp", "a"]) + "'", True),
     ("https://a.b/work/x", False), ("../shared/home", False), ("a/tmp/b", False)],
)  # fmt: skip
def test_machine_paths_are_noticed(text, found):
    assert bool(MACHINE_PATHS.search(text)) is found


def test_no_path_of_a_machine():
    wrong = []
    for path in tracked():
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path != Path(__file__):
            wrong += [f"{path.relative_to(REPOSITORY)}: {m.group()}" for m in MACHINE_PATHS.finditer(text)]
    assert wrong == []


# (f) Hooks


def hooks() -> dict[str, str]:
    """Return the signature of each hook, as it is written."""
    specs = [n for n in tree(CORE / "hookspecs.py").body if isinstance(n, ast.FunctionDef)]
    marked = [
        n for n in specs if any(isinstance(d, ast.Name) and d.id == "hookspec" for d in n.decorator_list)
    ]
    return {n.name: f"def {n.name}({ast.unparse(n.args)}) -> {ast.unparse(n.returns)}" for n in marked}  # type: ignore[arg-type]


def test_hooks_are_found():
    assert hooks() == {"mribench_entries": "def mribench_entries() -> Iterable[Entry]"}
    assert all(hasattr(hookspecs, name) for name in hooks())


@pytest.mark.parametrize("name", hooks())
def test_every_hook_has_a_test_and_documentation(name):
    tests = (REPOSITORY / "tests" / "core" / "test_core_plugins.py").read_text(encoding="utf-8")
    assert f"def test_hook_{name}" in tests
    assert getattr(hookspecs, name).__doc__
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert hooks()[name] in readme, "the README's hook reference has the literal signature"


def test_kinds_are_documented():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if kind not in readme] == []


# (g) and (h) The command line

LIGHT = [["--help"], ["--version"], *([name, "--help"] for name in cli.cli.commands),
         ["data", "make", "--help"], ["plugins", "list", "--help"]]  # fmt: skip
PROBE = """
import sys
import tomllib
from mribench import cli
for arguments in {calls}:
    sys.argv = ["mribench", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    heavy = sorted({{"torch", "monai"}} & set(sys.modules))
    if heavy:
        sys.exit(f"{{arguments}} imported {{heavy}}")
"""


def test_help_imports_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(calls=LIGHT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def commands() -> list[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for part in command.list_commands(context):
                inner = command.get_command(context, part)
                assert inner is not None
                yield from below(f"{name} {part}", inner)
        else:
            yield name, command

    return [("mribench", cli.cli), *below("mribench", cli.cli)]


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_help_has_an_example(name, command):
    text = command.get_help(click.Context(command, info_name=name))
    (examples,) = re.findall(r"Examples?:\s*(.*)", text, flags=re.DOTALL)
    assert name.split(" make")[0] in examples
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name}: {parameter.name}"


# (j) What is imported is declared


OWN = {"mribench", *PACKAGES}


def declared(names: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ]", name)[0].lower().replace("_", "-") for name in names}


def third_party(paths: list[Path]) -> set[str]:
    """Return the distributions behind what the files import, but for the standard library and siblings."""
    siblings = {path.stem for path in [*TESTS, *SCRIPTS]} | {"golden", "durability"}
    tops = {name.split(".")[0] for path in paths for name in imports_of_script(path)}
    tops -= {*sys.stdlib_module_names, *siblings, *OWN}
    known = metadata.packages_distributions()
    return {known.get(top, [top])[0].lower().replace("_", "-") for top in tops}


def imports_of_script(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


TESTS = sources(REPOSITORY / "tests")
SCRIPTS = [path for name in ("benchmarks", "docs") for path in sources(REPOSITORY / name)]
PROJECT = PYPROJECT["project"]


def test_what_the_product_imports_is_declared():
    extras = {"distributed"}  # whose executor says which extra it wants
    assert third_party(PRODUCT) - declared(PROJECT["dependencies"]) == {"pydantic-core", *extras}


def test_what_tests_and_scripts_import_is_declared():
    everything = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
    found = third_party([*TESTS, *SCRIPTS])
    assert "statsmodels" in found, "the walk finds what only tests import"
    assert found - declared(everything) <= {"pydantic-core"}


def test_what_is_declared_is_pinned_for_ci():
    everything = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = declared([line for line in lines if "==" in line])
    stubs = {name for name in declared(everything) if name.startswith("types-")}
    assert declared(everything) - pinned - stubs == set()
