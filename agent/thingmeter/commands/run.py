"""``thingmeter run``: the daemon, in the foreground."""

from __future__ import annotations

import argparse

HELP = "run the agent in the foreground"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT; a SIGHUP reads the configuration again."""
    from thingmeter.daemon import run as run_daemon

    run_daemon(arguments.config)
    return 0
