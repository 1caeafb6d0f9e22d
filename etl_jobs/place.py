"""Where the jobs read and write: on Google Cloud, or in a folder without a cloud."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etl_jobs.errors import JobError, Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor, MonitoringAccessor

# What the names mean when none is given. In a folder these are made by themselves.
DATASET = "etl"
LOCAL_BUCKET = "etl"
_RAW_DATASET = "raw"
# A run waits no longer for Monitoring, for each of its jobs.
_MONITORING_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Place:
    """A warehouse with its default dataset, a bucket, and where runs write their metrics.

    Attributes:
        metrics: None where nothing is to be measured.
    """

    warehouse: BigQueryAccessor
    store: CloudStorageAccessor
    bucket: str
    metrics: MonitoringAccessor | None = None

    def address(self, uri: str) -> str:
        """Return where a person finds an object: in a folder, a file to open."""
        local = self.store.local
        if local is None:
            return uri
        path = local / "buckets" / uri.removeprefix("gs://")
        here = Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    @contextmanager
    def advice(self) -> Iterator[None]:
        """Say of an error of the system, such as a full disk, which folder to look at."""
        try:
            yield
        except OSError as error:
            if self.store.local is not None and not getattr(error, "__notes__", ()):
                error.add_note(
                    f"check that {self.store.local} can be written and that its disk has room"
                )
            raise


def name_place(
    *,
    local: Path | None = None,
    project: str | None = None,
    dataset: str | None = None,
    bucket: str | None = None,
    location: str | None = None,
) -> Place:
    """Return the accessors of a place, without looking whether it is there.

    Raises:
        Misuse: there is no bucket to write to, or both a folder and a project.
    """
    from gcp_accessor import BigQueryAccessor, CloudStorageAccessor

    if local is not None and project is not None:
        raise Misuse(
            f"a run is on Google Cloud or in a folder; got --project {project} and --local {local}"
        )
    if local is None and bucket is None:
        raise Misuse("name a bucket with --bucket, or run without a cloud with --local DIR")
    warehouse = BigQueryAccessor(
        project, dataset=dataset or DATASET, location=location, local=local
    )
    store = CloudStorageAccessor(project, local=local)
    metrics = name_metrics(local=local, project=project)
    return Place(warehouse, store, bucket or LOCAL_BUCKET, metrics)


def name_metrics(*, local: Path | None = None, project: str | None = None) -> MonitoringAccessor:
    """Return where the runs of a place write their metrics, without looking there."""
    from etl_jobs.telemetry.metrics import PREFIX
    from gcp_accessor import MonitoringAccessor

    return MonitoringAccessor(project, local=local, prefix=PREFIX, timeout=_MONITORING_SECONDS)


def open_place(place: Place) -> None:
    """Make sure that a run can begin: in a folder the default dataset and bucket are made.

    Whatever else is named has to exist, so that a typing error starts no new, empty place.

    Raises:
        JobError: the dataset or bucket does not exist, or the folder cannot be used.
    """
    from google.api_core.exceptions import NotFound

    warehouse, store = place.warehouse, place.store
    try:
        if store.local is not None:
            _prepare(place)
        warehouse.tables()
    except NotFound as error:
        raise JobError(
            f"there is no dataset {warehouse.dataset}; create it, or name another with --dataset"
        ) from error
    except OSError as error:
        if store.local is None:
            raise
        raise JobError(
            f"the folder {store.local} cannot be used: {error.strerror or error}; name one with "
            "--local that can be written"
        ) from error
    try:
        next(iter(store.list(f"gs://{place.bucket}/")), None)
    except NotFound as error:
        raise JobError(
            f"there is no bucket {place.bucket}; create it, or name another with --bucket"
        ) from error


def _prepare(place: Place) -> None:
    from google.api_core.exceptions import Conflict

    there = place.warehouse.datasets()
    for name in (_RAW_DATASET, DATASET):
        if name not in there:
            # Another run may make it at the same moment.
            with suppress(Conflict):
                place.warehouse.create_dataset(name)
    place.store.create_bucket(LOCAL_BUCKET, if_exists="keep")
