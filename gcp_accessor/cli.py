"""gcp-accessor: look at what the accessors depend on."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

# Nothing heavy here: `--help` answers before Google's clients are imported.
if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = """\
examples:
  gcp-accessor doctor
  gcp-accessor doctor --project my-project --dataset lessons --bucket my-bucket
  gcp-accessor doctor --local demo
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 usable, 1 something is broken, 2 misused."""
    parser = argparse.ArgumentParser(
        prog="gcp-accessor",
        description="BigQuery, Cloud Storage and Cloud Monitoring without the boilerplate.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    _doctor_options(
        commands.add_parser(
            "doctor",
            help="who you are, which project pays, what is reachable and what is installed",
            description=(
                "Say who you are to Google Cloud, which project pays, what is reachable, what is "
                "installed, and what to do about what is broken. Nothing is changed."
            ),
            allow_abbrev=False,
        )
    )
    options = parser.parse_args(arguments)
    if options.local is not None and (options.project or options.impersonate):
        parser.error("--local stands in for Google Cloud; leave out --project and --impersonate")
    return _doctor(options)


def _doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", metavar="NAME", help="who pays (default: the environment's)")
    parser.add_argument(
        "--local", metavar="DIR", help="a folder instead (default: $GCP_ACCESSOR_LOCAL)"
    )
    parser.add_argument(
        "--impersonate", metavar="ADDRESS", action="append", default=[],
        help="a service account to act as; again for the next one of a chain",
    )  # fmt: skip
    parser.add_argument("--bucket", metavar="NAME", help="what you may do with its objects")
    parser.add_argument("--dataset", metavar="NAME", help="whether you can see it")
    parser.add_argument("--json", action="store_true", help="for machines")


def _doctor(options: argparse.Namespace) -> int:
    from gcp_accessor.doctor import examine
    from gcp_accessor.doctor.report import as_json, as_text

    try:
        examination = examine(
            project=options.project,
            local=options.local,
            impersonate=options.impersonate,
            bucket=options.bucket,
            dataset=options.dataset,
        )
    except KeyboardInterrupt:
        print("gcp-accessor: stopped", file=sys.stderr)
        return 130
    print(as_json(examination) if options.json else as_text(examination, sys.stdout.encoding))
    sys.stdout.flush()
    return 0 if examination.usable else 1
