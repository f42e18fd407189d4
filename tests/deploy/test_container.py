"""The shipped image: made of what it is said to be, and started as it says."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from urllib.error import URLError

import pytest
import yaml

from gateway.config import read
from gateway.process.supervisor import ENDING_S
from gateway.settings import Server
from tests.patience import HANGING_S

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
HOME = "/var/lib/gateway"


def variables() -> dict[str, str]:
    return dict(re.findall(r"^ENV (\w+)=(.*)$", DOCKERFILE, re.MULTILINE))


def copied() -> list[str]:
    """Return what of the project goes into the image."""
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def command(instruction: str) -> list[str]:
    """Return the arguments behind *instruction*, which end its line."""
    return json.loads(re.search(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """Return a folder with the packages as the image has them, made of the same files alone."""
    context, built = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("built")
    for name in copied():
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, context / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, context / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", built, context]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(built / "packages")
    return built / "packages"


def test_it_has_everything_that_the_packages_need_while_they_run(image):
    def files(root):
        return {
            file.relative_to(root)
            for package in ("gateway", "middlewares")
            for file in (root / package).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }

    assert files(image) == files(ROOT)


def test_nothing_else_is_sent_to_be_built():
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


def test_it_has_all_extras_but_those_of_tests():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"]) - {"test", "testing"}
    assert set(re.search(r"\"\.\[(.*)\]\"", DOCKERFILE)[1].split(",")) == extras


def test_it_starts_answers_its_health_check_and_stops(image, tmp_path, unused_tcp_port):
    port = str(unused_tcp_port)
    environ = variables() | {"GATEWAY_SERVER__PORT": port, "GEMINI_API_KEY": "any-key-at-all"}
    assert read(None, environ).server.host == "0.0.0.0"
    environ |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(image)}
    started = [sys.executable, *command("CMD")[1:]]
    process = subprocess.Popen(started, cwd=tmp_path, env=environ, stderr=subprocess.PIPE)
    check = [part.replace("8080", port) for part in command("HEALTHCHECK CMD")[1:]]
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        assert subprocess.run([sys.executable, *check], timeout=HANGING_S).returncode == 0
        # Where the image has its volume.
        assert (tmp_path / "gateway.db").exists()
    finally:
        process.terminate()
        told = process.communicate(timeout=HANGING_S)[1].decode()
    assert process.returncode == 0, told
    checked = subprocess.run([sys.executable, *check], capture_output=True, timeout=HANGING_S)
    assert checked.returncode != 0


def wait_for(url: str) -> None:
    deadline = time.monotonic() + HANGING_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=HANGING_S).close()
        except URLError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} did not answer")


def test_what_is_written_lies_in_the_volume_of_its_own_user():
    assert f"WORKDIR {HOME}\nVOLUME {HOME}\n" in DOCKERFILE
    # Media of many megabytes, too, which in memory would count towards the container's limit.
    assert variables()["TMPDIR"] == HOME
    assert f"install -d -m 0700 -o gateway -g gateway {HOME}" in DOCKERFILE
    assert "\nUSER gateway\n" in DOCKERFILE
    assert f"gateway:{HOME}" in COMPOSE["services"]["gateway"]["volumes"]


def test_ports_are_those_that_the_gateway_listens_on():
    port = Server().port
    assert f"\nEXPOSE {port}\n" in DOCKERFILE
    # To be reached from elsewhere only through what stands in front.
    assert COMPOSE["services"]["gateway"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_compose_builds_the_image_and_leaves_time_for_the_drain():
    service = COMPOSE["services"]["gateway"]
    build = service["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).read_text() == DOCKERFILE
    assert float(service["stop_grace_period"].rstrip("s")) > Server().drain_timeout_s + ENDING_S
