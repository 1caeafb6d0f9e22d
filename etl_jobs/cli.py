"""etl-jobs: the jobs listed, planned, run and shown."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from etl_jobs.console import complain, speaking
from etl_jobs.options import command, parse
from etl_jobs.stopping import heard, told

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

# Every command, in the order of --help. Each is a module of `etl_jobs.commands`.
COMMANDS = (
    "list",
    "plan",
    "run",
    "backfill",
    "show",
    "runs",
    "diff",
    "rollback",
    "release",
    "pin",
    "unpin",
    "verify",
    "gc",
    "deployment",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, one of `etl_jobs.failure.ExitCode`."""
    with speaking(), heard():
        try:
            return _run(parse(COMMANDS, arguments))
        # BaseException: a signal is raised as one, and what hears it may make another error of it.
        except BaseException as error:
            which = told()
            if which is None and isinstance(error, KeyboardInterrupt):
                # Whoever called this hears Ctrl-C for us.
                which = signal.SIGINT
            if which is None:
                raise
            return _stopped(which, error)


def _run(options: Namespace) -> int:
    from etl_jobs.failure import exit_code, explain

    try:
        command(options.command).run(options)
    except Exception as error:
        sentence = explain(error)
        if told() is not None or sentence is None:
            raise
        complain(sentence, error=error)
        return exit_code(error)
    return 0


def _stopped(which: signal.Signals, error: BaseException) -> int:
    """Say how much is lost, and return what a shell makes of a process that a signal ended."""
    if which is signal.SIGTERM:
        sentence = "told to end (SIGTERM); run again, it goes on where it was"
    else:
        sentence = "stopped; what was not finished was not published"
    complain(sentence, "WARNING", error=error)
    return 128 + which


if __name__ == "__main__":
    sys.exit(main())
