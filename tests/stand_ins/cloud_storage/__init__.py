"""Cloud Storage's JSON and XML APIs on 127.0.0.1.

Generations, preconditions, multipart and resumable uploads, ranges, gzip transcoding, paging,
rewrites, compositions, checksums and signed addresses, as the service does them. It answers as
the service answers an account with object roles: the bucket itself may be created, but not read.
Faults are queued from outside and met by whoever calls next.
"""

from __future__ import annotations

from tests.stand_ins.cloud_storage.faults import Fault
from tests.stand_ins.cloud_storage.server import CloudStorageStandIn

__all__ = ["CloudStorageStandIn", "Fault"]
