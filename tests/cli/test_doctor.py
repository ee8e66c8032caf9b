"""`sillok doctor config`: what a file means, before anything is started with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillok.cli.main import main
from sillok.config.sillok import load


def test_a_right_file_gives_the_effective_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sillok.yaml"
    file.write_text("limits:\n  retention_period: 14d\n")
    assert main(["doctor", "config", str(file)]) == 0
    shown = capsys.readouterr()
    assert f"retention_period: 336h  # {file}:2" in shown.out
    assert load(shown.out).settings.limits.retention_period_ns == 14 * 86_400 * 10**9
    assert "ok, 0 warnings" in shown.err


def test_a_lokis_file_is_known_by_its_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """T-07."""
    file = tmp_path / "loki.yaml"
    file.write_text("auth_enabled: false\nserver: {http_listen_address: 127.0.0.1}\nruler: {enable_api: true}\n")
    assert main(["doctor", "config", "--quiet", str(file)]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"warning: {file}:3: `ruler.enable_api` has no meaning here" in shown.err


def test_the_worst_of_several_files_is_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("")
    bad.write_text("log: {level: loud}\nlimts: {}\n")
    assert main(["doctor", "config", str(bad), str(good)]) == 2
    told = capsys.readouterr().err
    assert told.count("error: ") == 2
    assert f"{good}: ok" in told


def test_an_open_address_without_credentials_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sillok.yaml"
    file.write_text("server: {listen: [':3100', '127.0.0.1:1', '[::1]:1', 'localhost:2']}\n")
    assert main(["doctor", "config", "--quiet", str(file)]) == 0
    told = capsys.readouterr().err
    assert "0.0.0.0:3100 can be reached from other machines" in told
    assert "1 warning" in told


def test_a_credentials_file_is_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    credentials = tmp_path / "credentials.yaml"
    credentials.write_text("credentials: [{name: a}]\n")
    file = tmp_path / "sillok.yaml"
    file.write_text(f"auth: {{credentials_file: {credentials}}}\n")
    assert main(["doctor", "config", str(file)]) == 2
    assert f"{credentials}:1: `credentials`: credential `a` needs either" in capsys.readouterr().err


def test_a_retention_for_no_selector_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sillok.yaml"
    file.write_text("limits:\n  retention_stream:\n    - {selector: 'level=debug', period: 24h}\n")
    assert main(["doctor", "config", str(file)]) == 2
    assert f"{file}:3: `retention_stream`: `level=debug` is no selector" in capsys.readouterr().err
