"""The command line: finds the command, sets up the log, turns every error into one clear line and an exit code.

Exit codes: 0 done, 1 failed, 2 usage, 69 a service is unavailable, 77 permission, 78 configuration. Source: sysexits.h.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from thingmeter.commands import COMMANDS
from thingmeter.errors import ConfigError, OutboxError, ThingmeterError, Unreachable

FAILED, UNAVAILABLE, PERMISSION, CONFIGURATION = 1, 69, 77, 78
LOG_LEVELS = ("debug", "info", "warning", "error")


class EscapingFormatter(logging.Formatter):
    """Keeps a log line one line: control characters, which may come from outside, are shown escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        text = super().format(record)
        return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command that the command line names; the interpreter ends at once, also with a hung collector left."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # until the end
    code = _run(sys.argv[1:] if arguments is None else arguments)
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads any more
        code = code or FAILED
    os._exit(code)  # the interpreter would join pool threads, and a hung collector keeps one for ever


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="the configuration (default: /etc/thingmeter/thingmeter.toml)"
    )
    common.add_argument("--log-level", choices=LOG_LEVELS, default="info", help="default: %(default)s")
    whole = argparse.ArgumentParser(
        prog="thingmeter", description="Device metrics for AWS IoT Device Defender, from one small daemon."
    )
    whole.add_argument("--version", action="store_true", help="print the version and end")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"thingmeter.commands.{name}")
        command = commands.add_parser(name, parents=[common], help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole


def _run(arguments: Sequence[str]) -> int:
    whole = parser()
    try:
        parsed = whole.parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    if parsed.version:
        print_version()
        return 0
    if parsed.command is None:
        whole.print_help(sys.stderr)
        return 2
    set_up_log(parsed.log_level)
    return run_command(parsed)


def print_version() -> None:
    """Print the installed version."""
    from importlib.metadata import version  # noqa: PLC0415  # costs memory that the daemon need not spend

    sys.stdout.write(f"thingmeter {version('thingmeter')}\n")


def set_up_log(level: str) -> None:
    """Log to stderr, one line per event."""
    handler = logging.StreamHandler()
    handler.setFormatter(EscapingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


def run_command(parsed: argparse.Namespace) -> int:
    """Run one command; every error raised on purpose becomes its message and its exit code."""
    try:
        return int(parsed.run(parsed))
    except ConfigError as error:
        return _say(str(error), CONFIGURATION)
    except PermissionError as error:
        return _say(f"{error.filename or ''}: {error.strerror}", PERMISSION)
    except OutboxError as error:
        return _say(str(error), PERMISSION if isinstance(error.__cause__, PermissionError) else FAILED)
    except Unreachable as error:
        return _say(str(error), UNAVAILABLE)
    except ThingmeterError as error:
        return _say(str(error), FAILED)
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        return _say(f"{error.filename or 'thingmeter'}: {error.strerror or error}", FAILED)


def _say(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    return code
