"""The map for developers, `docs/development.md`, next to the tree and the layers themselves."""

import configparser
import re
from pathlib import Path

from tests.test_layout import tracked

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "development.md").read_text()
_, _, MAP = PAGE.partition("\n| part | in `gateway/` |")
MAP = MAP.partition("\n\n")[0]


def named() -> list[str]:
    """Return what the map names, from top to bottom: packages end with a slash."""
    cells = re.findall(r"^\|[^|]*\| (`[^|]+) \|", MAP, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([a-z_]+/?)`", cell)]


def files() -> set[Path]:
    return {path.relative_to(ROOT) for path in tracked()}


def test_the_map_has_every_package_and_module_once_and_no_other():
    inside = [path.parts[1:] for path in files() if path.parts[0] == "gateway"]
    packages = {f"{parts[0]}/" for parts in inside if parts[1:] == ("__init__.py",)}
    modules = {parts[0].removesuffix(".py") for parts in inside if parts[0].endswith(".py")}
    assert sorted(named()) == sorted(packages | modules - {"__init__"})


def test_the_map_is_in_the_order_of_the_layers():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    layers = setup["importlinter:contract:layers"]["layers"].strip().split("\n")
    depth = {name: at for at, layer in enumerate(layers) for name in layer.split(" | ")}
    depths = [depth[name.removesuffix("/")] for name in named()]
    assert depths == sorted(depths)


def test_the_map_has_every_folder_and_no_other():
    found = {path.parts[0] for path in files() if len(path.parts) > 1}
    assert set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)) == found - {".ci"}


def test_every_path_that_is_named_exists():
    paths = re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py|\.toml|\.cfg))`", PAGE)
    assert len(paths) > 40
    missing = [
        path for path in paths if not any((at / path).exists() for at in (ROOT, ROOT / "gateway"))
    ]
    assert missing == []


def test_every_target_of_make_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", PAGE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
