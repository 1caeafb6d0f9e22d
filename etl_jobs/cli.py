"""etl-jobs: list, plan, run and show the jobs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from etl_jobs.console import complain
from etl_jobs.options import command, parse

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from collections.abc import Sequence

# Every command, in the order of --help. Each is a module of `etl_jobs.commands`.
COMMANDS = (
    "list",
    "plan",
    "run",
    "show",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 misused, 130 stopped."""
    options = parse(COMMANDS, arguments)
    from etl_jobs.errors import Misuse
    from etl_jobs.failure import explain

    try:
        command(options.command).run(options)
    except KeyboardInterrupt:
        complain("stopped; what was not finished was not published")
        return 130
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        complain(sentence)
        return 2 if isinstance(error, Misuse) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
