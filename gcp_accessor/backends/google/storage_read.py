"""A table's rows in Arrow, through the BigQuery Storage Read API."""

from __future__ import annotations

import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from google.api_core.exceptions import DeadlineExceeded, Forbidden, ServiceUnavailable
from google.api_core.retry import Retry, if_exception_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.cloud import bigquery
    from google.cloud.bigquery_storage import BigQueryReadClient
    from pyarrow import RecordBatch, Schema

# Each holds two of the service's messages, of a few MB, at most.
_STREAMS = 4
# As long as BigQuery's own client asks a failing service again.
_RETRY = Retry(if_exception_type(DeadlineExceeded, ServiceUnavailable), timeout=600)


class StorageReader:
    """Reads tables over gRPC for one client of BigQuery, with that client's credentials.

    It looks for the API beside the client's own endpoint only: a client that speaks to an
    emulator or through a private endpoint never has its rows fetched from the public one.
    What google-cloud-bigquery offers for this asks no second time for a session that it is
    refused for a moment, and often waits a fifth of a second at the end of the rows.

    Args:
        client: Whose project pays, and whose credentials are used.
        given: Google's client of the API, to be used instead of making one; it is not closed.
        retry: How often the service is asked again. None goes on for ten minutes, where the
            API's own client would for a day.
    """

    def __init__(
        self,
        client: bigquery.Client,
        given: BigQueryReadClient | None = None,
        retry: Retry | None = None,
    ) -> None:
        self._client = client
        self._given = given
        self._retry = retry or _RETRY
        self._made: BigQueryReadClient | None = None
        self._refused = False
        self._lock = threading.Lock()

    def batches(
        self, table: bigquery.TableReference, *, ordered: bool
    ) -> Iterator[RecordBatch] | None:
        """Return the table's rows, or None where they have to be read another way.

        That is so if google-cloud-bigquery-storage is not installed, if the client has an
        endpoint of its own, and if the account may not use the API, of which a warning tells
        once. A stream that breaks off is taken up where it was, so that no row comes twice.

        Args:
            table: A whole table.
            ordered: Read one stream, which keeps the order of the rows as they were written;
                several, read at once, come as they arrive.
        """
        if self._refused:
            return None
        client = self._read_client()
        if client is None:
            return None
        batches = self._read(client, table, 1 if ordered else _STREAMS)
        try:
            # Nothing is sent before the first batch is asked for.
            first = next(batches, None)
        except Forbidden as error:
            self._fall_back(error)
            return None
        return batches if first is None else chain([first], batches)

    def close(self) -> None:
        """Close the connection that was opened here."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.transport.close()

    def _read(
        self, client: BigQueryReadClient, table: bigquery.TableReference, most_streams: int
    ) -> Iterator[RecordBatch]:
        import pyarrow
        from google.cloud.bigquery_storage_v1.types import (
            ArrowSerializationOptions,
            DataFormat,
            ReadSession,
        )

        compressed = ArrowSerializationOptions(
            buffer_compression=ArrowSerializationOptions.CompressionCodec.LZ4_FRAME
        )
        session = client.create_read_session(
            parent=f"projects/{self._client.project}",
            read_session=ReadSession(
                table=table.to_bqstorage(),
                data_format=DataFormat.ARROW,
                read_options=ReadSession.TableReadOptions(arrow_serialization_options=compressed),
            ),
            max_stream_count=most_streams,
            retry=self._retry,
        )
        schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(session.arrow_schema.serialized_schema))
        yield from _as_they_come(
            [self._stream(client, stream.name, schema) for stream in session.streams]
        )

    def _stream(
        self, client: BigQueryReadClient, name: str, schema: Schema
    ) -> Iterator[RecordBatch]:
        import pyarrow

        # Google's reader asks again from where it was when the connection breaks.
        for message in client.read_rows(name, retry=self._retry):
            content = pyarrow.py_buffer(message.arrow_record_batch.serialized_record_batch)
            yield pyarrow.ipc.read_record_batch(content, schema)

    def _read_client(self) -> BigQueryReadClient | None:
        if self._given is not None:
            return self._given
        with self._lock:
            if self._made is None:
                self._made = _read_client_beside(self._client)
            return self._made

    def _fall_back(self, error: Forbidden) -> None:
        with self._lock:
            told, self._refused = self._refused, True
        if told:
            return
        remedy = (
            f"enable bigquerystorage.googleapis.com in the project {self._client.project}"
            if "SERVICE_DISABLED" in str(error) or "has not been used" in str(error)
            else f"grant roles/bigquery.readSessionUser on the project {self._client.project}"
        )
        warnings.warn(
            "rows are read through the slower REST API, as BigQuery refuses its Storage Read "
            f"API; {remedy}. It says: {error.message}",
            stacklevel=2,
        )


def _read_client_beside(client: bigquery.Client) -> BigQueryReadClient | None:
    """Return a client of the endpoint that belongs to BigQuery's; None if it cannot be known."""
    try:
        from google.cloud.bigquery_storage import BigQueryReadClient
    except ImportError:
        return None
    # bigquery.googleapis.com, a region's endpoint and another universe's are all named alike.
    endpoint = urlsplit(str(client._connection.API_BASE_URL))
    service, _, domain = endpoint.netloc.partition(".")
    if (endpoint.scheme, service) != ("https", "bigquery"):
        return None
    credentials = client._credentials
    return BigQueryReadClient(
        credentials=credentials,
        client_options={
            "api_endpoint": f"bigquerystorage.{domain}",
            "universe_domain": getattr(credentials, "universe_domain", None),
        },
    )


def _as_they_come(streams: Iterable[Iterator[RecordBatch]]) -> Iterator[RecordBatch]:
    """Read every stream in a thread, one batch ahead of the caller and no more."""
    streams = list(streams)
    pool = ThreadPoolExecutor(max(len(streams), 1), "gcp-accessor-read")
    try:
        coming = {pool.submit(next, stream, None): stream for stream in streams}
        while coming:
            ready, _ = wait(coming, return_when=FIRST_COMPLETED)
            for future in ready:
                stream = coming.pop(future)
                batch = future.result()
                if batch is not None:
                    coming[pool.submit(next, stream, None)] = stream
                    yield batch
    finally:
        # What is on its way arrives for nobody: waiting for it would hold up Ctrl-C.
        pool.shutdown(wait=False, cancel_futures=True)
