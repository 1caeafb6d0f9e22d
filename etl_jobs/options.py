"""What can be typed after `etl-jobs`, and what is said when it cannot."""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, cast

from etl_jobs.cloud_log import in_cloud_run
from etl_jobs.console import complain, say
from etl_jobs.errors import nearest

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import SupportsWrite

_EXAMPLES = """\
examples:
  etl-jobs run calibrate --local demo --input raw.answers=examples/lsat6.csv.gz
  etl-jobs run calibrate --project my-project --bucket my-bucket --as-of 2026-03-31
  etl-jobs show calibrate --local demo

exit codes:
  0    done: published, or there already
  1    failed, and would fail again
  2    misused: what was typed means nothing
  75   failed for a reason that may pass: run it again
  130  stopped by Ctrl-C, its jobs in the warehouse cancelled
  143  stopped by SIGTERM, its jobs in the warehouse left to the next attempt
"""


class Command(Protocol):
    """A module of `etl_jobs.commands`.

    Attributes:
        SUMMARY: What it does, in one line that begins in lower case.
    """

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Tell the parser what can be typed after the command."""

    def run(self, options: argparse.Namespace) -> None:
        """Do it."""


def command(name: str) -> Command:
    """Return the command of this name."""
    return cast("Command", import_module(f"etl_jobs.commands.{name.replace('-', '_')}"))


def parse(names: Sequence[str], arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was typed; `command` is its name, the rest is what that one's parser names.

    Args:
        names: The commands there are.
        arguments: What stands after `etl-jobs`; None takes it from the process.

    Raises:
        SystemExit: 0 after --help; 2 when it cannot be understood, after a sentence that says
            why.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(
        prog="etl-jobs",
        usage="etl-jobs COMMAND ...",
        description="SQL-first jobs: raw logs become features and trained models.",
        epilog=_EXAMPLES,
    )
    if typed and not typed[0].startswith("-") and typed[0] not in names:
        parser.error(f"there is no command {typed[0]!r}{nearest(typed[0], names)}")
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True, prog="etl-jobs"
    )
    # A chosen command is not made to wait for the others' modules.
    chosen = typed[:1] if typed and typed[0] in names else names
    commands = {name: _add(subparsers, name) for name in chosen}
    if not typed:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    options, extra = parser.parse_known_args(typed)
    if extra:
        commands[options.command].refuse(extra)
    return options


def _add(subparsers: argparse._SubParsersAction[_Parser], name: str) -> _Parser:
    module = command(name)
    about = module.SUMMARY
    description = f"{about[0].upper()}{about[1:]}."
    parser = subparsers.add_parser(name, description=description, help=about)
    module.add_arguments(parser)
    parser.usage = " ".join(("etl-jobs", name, *parser.positional, "[options]"))
    return parser


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong; nothing is abbreviated or guessed."""

    def __init__(self, **settings: object) -> None:
        self.positional: list[str] = []
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,  # type: ignore[arg-type]
        )

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        """Add an argument; those without a dash are named in the usage, the rest are options."""
        if names and not names[0].startswith("-"):
            metavar = settings.get("metavar", names[0].upper())
            optional = settings.get("nargs") in ("?", "*")
            self.positional.append(f"[{metavar}]" if optional else metavar)
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        advice = "" if message.endswith("?") else f"; see {self.prog} --help"
        self.exit(2, f"etl-jobs: {message.removeprefix('argument ')}{advice}\n")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if in_cloud_run():
            tell = complain if file is sys.stderr else say
            tell(message.removeprefix("etl-jobs: ").strip())
        else:
            super()._print_message(message, file)

    def refuse(self, extra: Sequence[str]) -> NoReturn:
        """Say which of the arguments has no meaning, and the option that is nearest to it."""
        option = next((each.partition("=")[0] for each in extra if each.startswith("-")), None)
        if option is None:
            self.error(f"{extra[0]!r} is one name too many")
        known = re.findall(r"--[a-z-]+", self.format_help())
        self.error(f"{self.prog} has no option {option}{nearest(option, known)}")
