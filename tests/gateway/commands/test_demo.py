import json

import pytest
from click.testing import CliRunner

from gateway.commands.demo import demo as command
from gateway.network.sockets import StartError
from tests.demo_process import demo, shell


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder) as told:
        yield (*told, folder)


def test_the_three_lines_that_it_prints_work(running):
    _, text, folder = running
    lines = [line for line in text.splitlines() if line.startswith("curl ")]
    models, whole, stream = (shell(line, folder) for line in lines)
    assert "gemini-2.5-flash" in [model["id"] for model in json.loads(models)["data"]]
    choice = json.loads(whole)["choices"][0]
    assert choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    assert stream.startswith("data: ")
    assert stream.endswith("data: [DONE]\n\n")


def test_it_says_that_answers_are_simulated(running):
    assert "all answers are simulated" in running[1]


def test_it_leaves_nothing_in_the_folder(running):
    assert list(running[2].iterdir()) == []


def test_its_port_may_be_set_in_the_environment(monkeypatch):
    asked = []

    def taken(port):
        asked.append(port)
        raise StartError("taken")

    monkeypatch.setattr("gateway.commands.demo._sockets", taken)
    result = CliRunner().invoke(command, env={"GATEWAY_SERVER__PORT": "18080"})
    assert (asked, result.exit_code) == ([18080], 78)


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_refused_in_words(port):
    result = CliRunner().invoke(command, ["--port", port])
    assert result.exit_code == 2
    assert "Invalid value for '--port'" in result.output
