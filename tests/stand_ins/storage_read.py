"""The BigQuery Storage Read API as a local gRPC service, over the tables of another stand-in."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc
import pyarrow as pa
from google.api_core import exceptions
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)
from google.cloud.bigquery_storage_v1.types import (
    ArrowSerializationOptions,
    CreateReadSessionRequest,
    DataFormat,
    ReadRowsRequest,
    ReadRowsResponse,
    ReadSession,
)
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from gcp_accessor.arrow import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor.schema import Column
    from tests.stand_ins.bigquery import BigQueryStandIn

_TABLE = re.compile(r"projects/([\w-]+)/datasets/(\w+)/tables/([\w-]+)")
_CODECS = {
    ArrowSerializationOptions.CompressionCodec.LZ4_FRAME: "lz4",
    ArrowSerializationOptions.CompressionCodec.ZSTD: "zstd",
}
# What the service tells of types that Arrow has not.
_EXTENSIONS = {"DATETIME": "datetime", "GEOGRAPHY": "geography", "JSON": "json"}


@dataclass
class Fault:
    """What happens to the next requests of a method.

    Attributes:
        after_rows: Of ReadRows: how many rows of the stream come before.
        retry_seconds: When the service asks to be asked again.
    """

    method: str
    code: grpc.StatusCode
    message: str
    times: int
    after_rows: int
    retry_seconds: float | None


class StorageReadStandIn:
    """The service. `with StorageReadStandIn(bigquery) as service: service.client()`.

    Attributes:
        most_streams: Of one session, should the caller want as many.
        message_rows: The most rows of one message.
        message_seconds: How long each message of the first stream takes to come.
        requests: How often each method was asked for.
        sent_rows: How many rows have left, with those of streams that were asked for again.
    """

    def __init__(self, bigquery: BigQueryStandIn) -> None:
        self.bigquery = bigquery
        self.most_streams = 3
        self.message_rows = 5_000
        self.message_seconds = 0.0
        self.requests: Counter[str] = Counter()
        self.sent_rows = 0
        self._faults: list[Fault] = []
        self._streams: dict[str, tuple[pa.Table, str | None]] = {}
        self._lock = threading.Lock()
        self._clients: list[BigQueryReadClient] = []
        self._server = grpc.server(ThreadPoolExecutor(8))
        methods = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._create_session, CreateReadSessionRequest.deserialize, ReadSession.serialize
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._read_rows, ReadRowsRequest.deserialize, ReadRowsResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "google.cloud.bigquery.storage.v1.BigQueryRead", methods
                )
            ]
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        for client in self._clients:
            client.transport.close()
        self._server.stop(None).wait()

    def client(self) -> BigQueryReadClient:
        """Google's own client, speaking to this service without TLS."""
        client = client_at(self.address)
        self._clients.append(client)
        return client

    def fail(
        self,
        code: grpc.StatusCode,
        message: str = "injected",
        *,
        on: str,
        times: int = 1,
        after_rows: int = 0,
        retry_seconds: float | None = None,
    ) -> None:
        """Answer the next requests of the method `on` with this error."""
        self._faults.append(Fault(on, code, message, times, after_rows, retry_seconds))

    def _create_session(
        self, request: CreateReadSessionRequest, context: grpc.ServicerContext
    ) -> ReadSession:
        fault = self._take_fault("CreateReadSession")
        if fault is not None:
            _abort(context, fault)
        session = request.read_session
        if session.data_format != DataFormat.ARROW:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "only Arrow is served here")
        try:
            columns, table = self._table(session.table)
        except exceptions.NotFound as error:
            context.abort(grpc.StatusCode.NOT_FOUND, error.message)
        options = session.read_options.arrow_serialization_options
        codec = _CODECS.get(options.buffer_compression)
        count = min(request.max_stream_count or self.most_streams, self.most_streams)
        count = min(count, table.num_rows)
        name = f"{request.parent}/locations/us/sessions/{uuid.uuid4().hex}"
        streams = [f"{name}/streams/{number}" for number in range(count)]
        bounds = [table.num_rows * number // count for number in range(count + 1)] if count else []
        for stream, start, end in zip(streams, bounds, bounds[1:], strict=False):
            self._streams[stream] = (table.slice(start, end - start), codec)
        return ReadSession(
            name=name,
            table=session.table,
            data_format=DataFormat.ARROW,
            arrow_schema={"serialized_schema": _told(columns).serialize().to_pybytes()},
            streams=[{"name": stream} for stream in streams],
        )

    def _read_rows(
        self, request: ReadRowsRequest, context: grpc.ServicerContext
    ) -> Iterator[ReadRowsResponse]:
        fault = self._take_fault("ReadRows")
        table, codec = self._streams[request.read_stream]
        end = table.num_rows
        if fault is not None:
            end = min(max(fault.after_rows, request.offset), end)
        is_first_stream = request.read_stream.endswith("/0")
        # The first message of every answer tells the schema, also where rows are taken up.
        schema: pa.Schema | None = table.schema
        for start in range(request.offset, end, self.message_rows):
            if is_first_stream:
                time.sleep(self.message_seconds)
            rows = table.slice(start, min(self.message_rows, end - start))
            yield _message(rows, codec, schema)
            schema = None
            with self._lock:
                self.sent_rows += rows.num_rows
        if fault is not None:
            _abort(context, fault)

    def _table(self, path: str) -> tuple[tuple[Column, ...], pa.Table]:
        match = _TABLE.fullmatch(path)
        if match is None or match[1] != self.bigquery.project:
            raise exceptions.NotFound(f"Not found: {path}")
        cursor = self.bigquery.result_of(match[2], match[3])
        table = pa.Table.from_batches(
            cursor.batches(self.message_rows), schema=arrow_schema(cursor.schema)
        )
        return cursor.schema, table.cast(_told(cursor.schema))

    def _take_fault(self, method: str) -> Fault | None:
        with self._lock:
            self.requests[method] += 1
            for fault in self._faults:
                if fault.times and fault.method == method:
                    fault.times -= 1
                    return fault
        return None


def client_at(address: str) -> BigQueryReadClient:
    """Google's own client, speaking to a service without TLS."""
    channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


def _told(columns: tuple[Column, ...]) -> pa.Schema:
    """The schema as the service tells it: required columns, and the names of lost types."""
    fields = []
    for field, column in zip(arrow_schema(columns), columns, strict=True):
        told = field.with_nullable(column.mode == "NULLABLE")
        if column.type in _EXTENSIONS:
            name = f"google:sqlType:{_EXTENSIONS[column.type]}"
            told = told.with_metadata({"ARROW:extension:name": name})
        fields.append(told)
    return pa.schema(fields)


def _message(rows: pa.Table, codec: str | None, schema: pa.Schema | None) -> ReadRowsResponse:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_batch(rows.combine_chunks().to_batches()[0])
    stream = pa.ipc.MessageReader.open_stream(pa.BufferReader(sink.getvalue()))
    stream.read_next_message()  # the schema
    batch = stream.read_next_message().serialize().to_pybytes()
    answer: dict[str, Any] = {
        "row_count": rows.num_rows,
        "arrow_record_batch": {"serialized_record_batch": batch, "row_count": rows.num_rows},
    }
    if schema is not None:
        answer["arrow_schema"] = {"serialized_schema": schema.serialize().to_pybytes()}
    return ReadRowsResponse(answer)


def _abort(context: grpc.ServicerContext, fault: Fault) -> None:
    if fault.retry_seconds is None:
        context.abort(fault.code, fault.message)
    status = Status(code=fault.code.value[0], message=fault.message)
    delay = Duration()
    delay.FromNanoseconds(int(fault.retry_seconds * 1e9))
    status.details.add().Pack(RetryInfo(retry_delay=delay))
    context.abort_with_status(rpc_status.to_status(status))
