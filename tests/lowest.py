"""Prints the lowest version of each library that setup.cfg permits, as constraints for pip.

`make lowest` runs tests with them.
"""

import re
from configparser import ConfigParser
from pathlib import Path

EXTRAS = ("speed", "postgres", "redis", "embedded", "audio", "otel")
_BOUND = re.compile(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+)")


def lowest_versions(path: Path) -> dict[str, str]:
    """Return the lower bounds in the setup.cfg at *path*, by library."""
    config = ConfigParser(interpolation=None)
    config.read(path, encoding="utf-8")
    extras = config["options.extras_require"]
    lines = [config["options"]["install_requires"], *(extras[name] for name in EXTRAS)]
    return dict(_BOUND.findall("\n".join(lines)))


if __name__ == "__main__":
    for library, version in lowest_versions(Path("setup.cfg")).items():
        print(f"{library}=={version}")
