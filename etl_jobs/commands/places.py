"""Where a command works, as it is typed: in a folder, or on Google Cloud."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_jobs.place import Place


def add_place(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where it works."""
    where = parser.add_argument_group("where")
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


def place_of(options: argparse.Namespace) -> Place:
    """Return the place that was typed, without looking whether it is there.

    Raises:
        Misuse: there is no bucket to write to, or both a folder and a project.
    """
    from etl_jobs.place import name_place

    return name_place(
        local=local_folder(options),
        project=options.project,
        dataset=options.dataset,
        bucket=options.bucket,
        location=options.location,
    )


def local_folder(options: argparse.Namespace) -> Path | None:
    """Return the folder that stands for the cloud, or None on Google Cloud."""
    folder: Path | None = options.local
    if folder is None and options.project is None:
        named = os.environ.get("GCP_ACCESSOR_LOCAL")
        folder = Path(named) if named else None
    return folder


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
