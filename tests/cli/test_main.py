"""The command as a whole: help, exit codes, what it costs to say hello."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import sillok as package
from sillok.cli.main import COMMANDS, main
from tests.e2e.system import SILLOK, sillok


def test_the_help_is_there_at_once() -> None:
    """No heavy import before the command is known: the best of five, because the machine is shared."""

    def seconds() -> float:
        began = time.perf_counter()
        assert sillok("--help").returncode == 0
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.3


def test_the_help_needs_no_library() -> None:
    code = (
        "import sys\nfrom sillok.cli.main import build_parser\nbuild_parser()\n"
        "heavy = {'chdb', 'pyarrow', 'numpy', 'httpx', 'starlette', 'yaml', 'asyncio', 'orjson'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_examples_in_its_help(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])  # type: ignore[attr-defined]
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert all(example in shown for example, _ in command.examples)  # type: ignore[attr-defined]


def test_the_exit_codes_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"\n  {code}" in shown for code in (0, 1, 2, 130))


@pytest.mark.parametrize("arguments", [["nope"], ["query"], ["serve", "--nope"], ["query", "{}", "--output", "x"]])
def test_a_wrong_command_line_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--help" in capsys.readouterr().err


def test_no_command_shows_the_help_and_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "sillok up" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert package.__version__ in capsys.readouterr().out


def test_a_wrong_configuration_ends_with_two(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "sillok.yaml"
    file.write_text("server:\n  listn: x\n")
    assert main(["serve", "--config", str(file), "--set", "log.level=loud"]) == 2
    told = capsys.readouterr().err
    assert f"{file}:2: `server.listn`: unknown key; did you mean `server.listen`?" in told
    assert "--set log.level" in told


def test_a_file_that_is_not_there_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--config", "/nowhere/sillok.yaml"]) == 2
    assert "/nowhere/sillok.yaml: cannot be read: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "told"),
    [("", "LOKI_URL is not set"), ("monitoring:3100", "LOKI_URL does not begin with http://")],
)
def test_a_collector_without_a_right_target_names_the_variable(
    url: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-08."""
    monkeypatch.setenv("LOKI_URL", url)
    assert main(["agent"]) == 2
    shown = capsys.readouterr().err
    assert told in shown
    assert "http://monitoring:3100/loki/api/v1/push" in shown


@pytest.mark.parametrize(
    ("shell", "words"), [("bash", "hash-token --since"), ("zsh", "hash-token --since"), ("tcsh", "since org-id")]
)
def test_completion_knows_commands_and_options(shell: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in words.split())


def test_the_bash_completion_is_bash(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out + "\nCOMP_WORDS=(sillok que); COMP_CWORD=1; _shtab_sillok; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "query"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "sillok", "version"], text=True, capture_output=True, check=True)
    assert done.stdout == sillok("version").stdout
    assert SILLOK.exists()
