"""The reference pages, made from what the program itself declares."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric

from sillok import telemetry
from sillok.cli.command import Command
from sillok.cli.exits import MEANING
from sillok.cli.main import COMMANDS, build_parser
from sillok.config.keys import Key, Section, keys_of
from sillok.config.sillok import Settings


def configuration() -> str:
    return _page(
        "Configuration",
        """Sillok works without any configuration. What is different goes into one file, `sillok.yaml`
(`--config FILE`, `$SILLOK_CONFIG`, or `./sillok.yaml` when it is there), into the environment, or into flags.
Later ones win: **Loki's file < `sillok.yaml` < environment < flags**. An unknown key or a value that does not fit
is refused with its place and the nearest key that exists; nothing is started.

```yaml
# sillok.yaml
server:
  listen: ["127.0.0.1:3100", "127.0.0.1:3004"]
limits:
  retention_period: 14d
agent:
  files:
    - /var/log/**/*.log
    - {paths: ./logs/vllm/*.log, service: vllm, labels: {team: serving}}
```

- **Environment**: a key's path in capitals, `_` for `.`, behind `SILLOK_`: `SILLOK_SERVER_LISTEN=:3100,:3004`,
  `SILLOK_LIMITS_RETENTION_PERIOD=14d`. Lists are `a,b` or `[a, b]`, pairs are `a=x,b=y` or `{a: x, b: y}`. `LOKI_URL`
  is `agent.loki_url`. A variable that begins like a section's (`SILLOK_SERVER_…`) and is no key is refused.
- **Flags**: `--set KEY=VALUE`, with the same forms; may be repeated.
- **Durations**: `30s`, `15m`, `336h`, `14d`, `1h30m`. **Sizes**: `256KB`, `10MB`, `1GB`; 1 KB is 1024 bytes, as in
  Loki's configuration.
- `sillok doctor config FILE` says what is wrong with a file and what the result is. `GET /config` of a running server
  says the same of that server.

## An existing loki-config.yaml

`sillok serve -config.file loki-config.yaml` takes a Loki configuration as it stands. What has a meaning here is used:
`auth_enabled`, `server.http_listen_address`, `server.http_listen_port`, `server.log_level`, `server.http_tls_config`,
every key of `limits` below under `limits_config`, `compactor.retention_enabled`, and `table_manager`'s retention.
Everything else is named in one warning each, with file and line. `-config.expand-env=true` replaces `${NAME}`.

What the file does not say is as in Loki where it decides who sees what and what is deleted (`auth_enabled` is true, the
server listens on every interface, lines are kept for ever), and as below everywhere else (late lines are kept, there
are no rate limits). `retention_period` deletes also without `compactor.retention_enabled`; where that is written as
`false`, nothing is deleted.""",
        _configuration_sections(),
    )


def _configuration_sections() -> Iterator[str]:
    rows: list[Key] = []
    heading = Section("", "These stand at the top of the file.")
    top = [item for item in keys_of(Settings) if isinstance(item, Key) and "." not in item.path]
    yield from _section(heading, top)
    for item in keys_of(Settings):
        if isinstance(item, Section):
            yield from _section(heading, rows) if rows else ()
            heading, rows = item, []
        elif "." in item.path:
            rows.append(item)
    yield from _section(heading, rows)


def _section(section: Section, rows: list[Key]) -> Iterator[str]:
    yield f"\n## {f'`{section.path}`' if section.path else 'Top level'}\n\n{section.doc}\n"
    yield "\n| key | kind | default | meaning |\n| --- | --- | --- | --- |\n"
    for key in rows:
        yield _row(f"`{key.path}`", key.kind.name, f"`{key.kind.show(key.default)}`", key.doc)


def command_line() -> str:
    return _page(
        "Command line",
        """One command, `sillok`, with a command of its own for each job. `sillok COMMAND --help` says the same as
this page. Options of a server are laid over the environment and the [configuration file](configuration.md).
Loki's flags are taken with one dash as Loki writes them, and with two.

Shell completion: `source <(sillok completion bash)`, or zsh, tcsh.""",
        _commands(),
    )


def _commands() -> Iterator[str]:
    yield "\n## Exit codes\n\n| code | meaning |\n| ---: | --- |\n"
    for code, meaning in MEANING.items():
        yield f"| {code:d} | {meaning} |\n"
    yield (
        "\nA reader that closes the pipe (`sillok query … | head`) is no failure: exit code 0. A second Ctrl-C or "
        "SIGTERM ends a server at once.\n"
    )
    parsers = next(action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    for command in COMMANDS:
        yield from _command(command, parsers.choices[command.name])


def _command(command: Command, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"\n## `sillok {command.name}`\n\n{command.description}\n\n```sh\n"
    for example, meaning in command.examples:
        yield f"{example}  # {meaning}\n"
    yield "```\n"
    yield from _options(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield f"\n### `sillok {command.name} {name}`\n"
                yield from _options(below)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [
        action
        for action in parser._actions
        if action.help is not argparse.SUPPRESS and "--help" not in action.option_strings
    ]
    shown = [action for action in shown if not isinstance(action, argparse._SubParsersAction)]
    if shown:
        yield "\n| option | meaning |\n| --- | --- |\n"
    for action in shown:
        meaning = (action.help or _choices(action)) % {"default": action.default}
        yield _row(_names(action), meaning)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        name = action.metavar or action.dest
        return f"`{name}`" if action.nargs is None else f"`[{name}]`"
    value = "" if action.nargs == 0 else f" {action.metavar or _choices(action) or action.dest.upper()}"
    return ", ".join(f"`{name}{value}`" for name in action.option_strings)


def _choices(action: argparse.Action) -> str:
    return ", ".join(map(str, action.choices)) if action.choices else ""


def metrics() -> str:
    return _page(
        "Metrics",
        "What Sillok tells about itself at `/metrics`, in Prometheus' text format. The collector's are at its own "
        "`agent.listen`.",
        _metric_rows(),
    )


def _metric_rows() -> Iterator[str]:
    yield "\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
    for metric in sorted(telemetry.REGISTRY.collect(), key=lambda metric: metric.name):
        if metric.name.startswith("sillok_"):
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            yield f"| `{name}` | {metric.type} | {_label_names(metric)} | {metric.documentation} |\n"
    yield (
        "\nBeside these there are `process_…` metrics as every Prometheus client has them: CPU seconds, resident "
        "memory, open files, start time.\n"
    )


def _label_names(metric: Metric) -> str:
    collector = telemetry.REGISTRY._names_to_collectors[metric.name]
    return ", ".join(f"`{name}`" for name in collector._labelnames)  # type: ignore[attr-defined]


def endpoints() -> str:
    return _page(
        "HTTP endpoints",
        """One port serves everything. `role` is what a credential needs when any are configured; — is open to
everybody. Parameters and answers of `/loki/…` are [Loki's](https://grafana.com/docs/loki/latest/reference/loki-http-api/);
differences are in [compatibility](../compatibility.md).""",
        _endpoint_rows(),
    )


def _endpoint_rows() -> Iterator[str]:
    from tests.reference.routes import all_routes

    yield "\n| path | methods | role |\n| --- | --- | --- |\n"
    for path, methods, role in all_routes():
        yield f"| `{path}` | {methods} | {role or '—'} |\n"


def _page(title: str, introduction: str, rest: Iterator[str]) -> str:
    note = "<!-- Made from the program itself: `make golden` rewrites this page, a test compares the two. -->"
    return f"# {title}\n\n{note}\n\n{introduction}\n" + "".join(rest)


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "metrics.md": metrics,
    "endpoints.md": endpoints,
}
