"""The shape of the project: sizes, mirrored tests, words, and nothing of the machine it was made on."""

import ast
import re
import subprocess
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("gateway", "middlewares")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
# Translators: what turns one dialect into another.
MAX_TRANSLATOR_LINES = 40
TRANSLATORS = "gateway/dialects/"
MAX_PARAMETERS = 5

# Words that the glossary replaces by others, outside of names that the outside world gave.
UNWANTED_NAMES = re.compile(r"\b(ctx|msgs?|resp|req|cfg|conf|util|utils|helpers?|misc|common)\b")
# Paths of a machine, and notes about the work instead of the thing.
UNWANTED_TEXT = re.compile(
    r"/(?:work|root|home/\w+)/|\bTODO\b|\bFIXME\b|\bXXX\b|\bissue #?\d|\bpart \d of \d",
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    """Return the project's files; without git, all that are not ignored by their place."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        listed = [
            str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if ".venv" not in path.parts
        ]
    return sorted(ROOT / name for name in listed if name and (ROOT / name).is_file())


def sources() -> list[Path]:
    """Return the modules; a migration is a record of what was done, not code that is worked on."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in PACKAGES
        and "versions" not in path.parts
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def does_something(path: Path) -> bool:
    """Tell whether a module holds more than declarations and one line of work."""
    statements = [
        statement
        for function in functions(path)
        if function.name not in {"__init__", "__repr__"}
        for statement in function.body
        if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    return len(statements) > 1


SOURCES = sources()
WITH_WORK = [path for path in SOURCES if does_something(path)]


def test_there_is_something_to_look_at():
    assert len(WITH_WORK) > 20


@pytest.mark.parametrize("path", WITH_WORK, ids=name_of)
def test_every_module_has_its_test(path):
    """Its own file, or one of its folder that imports it by name."""
    relative = path.relative_to(ROOT)
    stem = "init" if path.stem == "__init__" else path.stem.strip("_")
    folder = ROOT / "tests" / relative.parent
    module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
    package, _, name = module.rpartition(".")
    imported = re.compile(
        rf"^from {re.escape(module)} import|^from {re.escape(package)} import .*\b{name}\b",
        re.MULTILINE,
    )
    mirrored = folder / f"test_{stem}.py"
    assert mirrored.exists() or any(
        imported.search(test.read_text()) for test in folder.glob("test_*.py")
    ), f"no {name_of(mirrored)}"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_files_and_functions_stay_small(path):
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES
    most = MAX_TRANSLATOR_LINES if name_of(path).startswith(TRANSLATORS) else MAX_FUNCTION_LINES
    long = [
        f"{function.name} ({size} lines)"
        for function in functions(path)
        if (size := (function.end_lineno or 0) - function.lineno + 1) > most
    ]
    assert long == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_take_few_parameters(path):
    many = []
    for function in functions(path):
        arguments = function.args
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        if len([name for name in names if name not in {"self", "cls"}]) > MAX_PARAMETERS:
            many.append(function.name)
    assert many == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Yield the names that *path* imports, those for type checkers only included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                module = f"{node.module}.{name.name}"
                yield module if module in MODULES else str(node.module)


MODULES = {module_of(path): path for path in SOURCES}


def test_no_imports_form_a_cycle():
    graph = {name: set(imported(path)) - {name} for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_say_what_they_are(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_are_words_of_the_glossary(path):
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {function.name for function in functions(path)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {path.stem}
    # click hands `ctx` to its groups by this name.
    allowed = {"ctx"} if "commands" in path.parts else set()
    assert {name for name in names if UNWANTED_NAMES.fullmatch(name)} <= allowed


def test_no_file_tells_of_the_machine_or_of_the_work():
    own = Path(__file__).resolve()
    told = []
    for path in tracked():
        if path.resolve() == own or path.suffix in {".png", ".jpg", ".wav", ".mp3", ".bin"}:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        told += [f"{name_of(path)}: {found[0]}" for found in UNWANTED_TEXT.finditer(text)]
    assert told == []


def test_the_top_level_stays_small():
    top = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert top <= {
        *(".ci", ".gitignore", ".gitattributes", "CHANGELOG.md", "LICENSE", "Makefile"),
        *("README.md", "README.zh-CN.md", "benchmarks", "config.toml", "deploy", "docs"),
        *("gateway", "middlewares", "pyproject.toml", "setup.cfg", "tests"),
    }


def test_what_is_shipped_beside_modules_is_packaged():
    packaged = {".py", ".toml", ".lua", ".sql", ".mako", ".typed"}
    kinds = {path.suffix for path in tracked() if path.relative_to(ROOT).parts[0] in PACKAGES}
    assert kinds <= packaged
