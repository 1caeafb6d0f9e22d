"""What can be typed after `etl-jobs`, and what is said when it cannot."""

from __future__ import annotations

import argparse
import os
import re
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from etl_jobs.errors import nearest

# Nothing heavy here: `--help` answers before the engines are imported.
if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "list": "the jobs there are",
    "plan": "what a job needs, in order, with its parameters",
    "run": "run a job and all it needs, and publish it",
    "show": "what a job has published",
}
_EXAMPLES = """\
examples:
  etl-jobs run calibrate --local demo --input raw.answers=examples/lsat6.csv.gz
  etl-jobs run calibrate --project my-project --bucket my-bucket --as-of 2026-03-31
  etl-jobs show calibrate --local demo
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what was typed; `command` and `job` are names, the rest is as `--help` says.

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
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True, prog="etl-jobs"
    )
    commands = {
        name: subparsers.add_parser(
            name,
            usage=f"etl-jobs {name} {'' if name == 'list' else 'JOB '}[options]",
            description=f"{about[0].upper()}{about[1:]}.",
            help=about,
        )
        for name, about in _COMMANDS.items()
    }
    for name in ("plan", "run", "show"):
        commands[name].add_argument("job", metavar="JOB", help="a name that `etl-jobs list` gives")
    _run_options(commands["run"])
    commands["show"].add_argument(
        "--run", metavar="RUN", help="a committed run in place of the published one"
    )
    for name in ("run", "show"):
        _place_options(commands[name])
    for command in commands.values():
        command.add_argument(
            "--sql",
            type=Path,
            metavar="DIR",
            help="a folder of SQL jobs in place of the project's own",
        )
    if not typed:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    if not typed[0].startswith("-") and typed[0] not in commands:
        parser.error(f"there is no command {typed[0]!r}{nearest(typed[0], commands)}")
    options, extra = parser.parse_known_args(typed)
    if extra:
        commands[options.command].refuse(extra)
    if "local" in options and options.local is None and options.project is None:
        folder = os.environ.get("GCP_ACCESSOR_LOCAL")
        options.local = Path(folder) if folder else None
    return options


class _Parser(argparse.ArgumentParser):
    """Says in one sentence what is wrong; nothing is abbreviated or guessed."""

    def __init__(self, **settings: object) -> None:
        super().__init__(
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **settings,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        advice = "" if message.endswith("?") else f"; see {self.prog} --help"
        self.exit(2, f"etl-jobs: {message.removeprefix('argument ')}{advice}\n")

    def refuse(self, extra: Sequence[str]) -> NoReturn:
        """Say which of the arguments has no meaning, and the option that is nearest to it."""
        option = next((each.partition("=")[0] for each in extra if each.startswith("-")), None)
        if option is None:
            self.error(f"{extra[0]!r} is one name too many")
        known = re.findall(r"--[a-z-]+", self.format_help())
        self.error(f"{self.prog} has no option {option}{nearest(option, known)}")


def _run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--as-of",
        type=_day,
        metavar="DATE",
        help="the last UTC day whose data counts (default: yesterday, the last complete one)",
    )
    run.add_argument(
        "--input",
        type=_assignment,
        action="append",
        default=[],
        metavar="TABLE=FILE",
        help="first fill a table from a CSV, NDJSON or Parquet file, also gzipped",
    )
    run.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="YAML that says how the file's columns become the table's",
    )
    run.add_argument(
        "--set",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a job's parameter, as `etl-jobs plan` lists them",
    )
    run.add_argument(
        "--anchor",
        metavar="RUN",
        help="keep the items of this run of `calibrate`, or of the latest, as they are",
    )
    run.add_argument(
        "--max-bytes",
        type=_size,
        metavar="SIZE",
        help="the most one query may read, such as 20GB, in place of the jobs' budgets",
    )


def _place_options(command: argparse.ArgumentParser) -> None:
    where = command.add_argument_group("where")
    where.add_argument(
        "--local",
        type=Path,
        metavar="DIR",
        help="no cloud: DuckDB and buckets in this folder (default: $GCP_ACCESSOR_LOCAL)",
    )
    where.add_argument(
        "--project", metavar="NAME", help="Google Cloud project (default: the credentials')"
    )
    where.add_argument(
        "--dataset",
        type=_dataset,
        metavar="NAME",
        help="BigQuery dataset of the jobs' own tables (default: etl)",
    )
    where.add_argument(
        "--bucket",
        type=_bucket,
        metavar="NAME",
        help="Cloud Storage bucket (default with --local: etl)",
    )
    where.add_argument("--location", metavar="NAME", help="where BigQuery runs, such as EU")


def _day(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; expected YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not in the calendar") from None


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} has no value; expected NAME=VALUE")
    return name, value


def _size(text: str) -> int:
    from gcp_accessor.byte_sizes import parse_bytes

    try:
        size = parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size == 0:
        raise argparse.ArgumentTypeError("nothing can be read within 0 bytes")
    return size


def _dataset(text: str) -> str:
    if not re.fullmatch(r"\w{1,1024}", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a dataset's name; expected letters, digits and _"
        )
    return text


def _bucket(text: str) -> str:
    from gcp_accessor.uris import check_bucket

    try:
        return check_bucket(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
