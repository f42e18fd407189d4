"""The shipped systemd unit."""

import configparser
import re
from pathlib import Path

from gateway import config
from gateway.process.supervisor import ENDING_S, FATAL_STATUS
from gateway.settings import Server

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "gateway.service"


def section() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def environment() -> dict[str, str]:
    """Return the variables that the unit sets, each on a line of its own."""
    lines = re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(lines)


def test_what_is_written_lies_where_the_unit_may_write():
    """Under `ProtectSystem=strict` that is the state directory alone."""
    assert section()["ProtectSystem"] == "strict"
    home = f"/var/lib/{section()['StateDirectory']}/"
    assert environment()["GATEWAY_DATABASE__SPILL"].startswith(home)
    assert environment()["GATEWAY_DATABASE__URL"].split("///", 1)[1].startswith(home)


def test_the_variables_of_the_unit_are_understood(tmp_path):
    environ = environment() | {"GATEWAY_CONFIG": str(tmp_path / "config.toml")}
    (tmp_path / "config.toml").write_text("")
    assert config.read(None, environ).database.spill == environment()["GATEWAY_DATABASE__SPILL"]


def test_the_unit_leaves_time_for_the_drain():
    assert float(section()["TimeoutStopSec"]) > Server().drain_timeout_s + ENDING_S


def test_the_unit_reloads_by_the_signal_that_the_gateway_takes():
    assert section()["ExecReload"].endswith("kill -HUP $MAINPID")


def test_a_wrong_configuration_is_not_started_again_and_again():
    assert section()["RestartPreventExitStatus"] == str(FATAL_STATUS)


def test_one_worker_killed_for_its_memory_takes_no_other_along():
    """By default systemd would stop the unit, with the streams of all workers."""
    assert section()["OOMPolicy"] == "continue"


def test_a_system_call_that_the_filter_does_not_know_ends_nothing():
    assert section()["SystemCallErrorNumber"] == "EPERM"
    # Else the filter is evaded by the calls of another architecture.
    assert section()["SystemCallArchitectures"] == "native"


def test_the_unit_holds_no_secret():
    assert not re.search(r"AIza|API_KEY=[^.\s]", UNIT.read_text())


def test_nobody_else_reads_the_database():
    """It holds the pepper, with which digests of short keys could be tried out."""
    assert section()["StateDirectoryMode"] == "0700"
    assert section()["UMask"] == "0077"
