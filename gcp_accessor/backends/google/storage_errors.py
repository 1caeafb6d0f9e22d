"""Cloud Storage's errors as a caller can act on them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.api_core.exceptions import (
    BadGateway,
    GoogleAPICallError,
    RetryError,
    from_http_response,
)
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import InvalidResponse
from requests.exceptions import JSONDecodeError, RequestException

from gcp_accessor.backends.google.connection_advice import connection_advice, not_google
from gcp_accessor.backends.google.storage_advice import HOST, advised

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def explained(bucket: str, name: str) -> Iterator[None]:
    """Re-raise Google's own errors, with a note that says what to do."""
    try:
        yield
    except InvalidResponse as error:
        # Media requests let the transport's error through.
        if error.response.ok:
            raise not_cloud_storage(bucket, name) from error
        raise advised(from_http_response(error.response), bucket, name) from error
    except JSONDecodeError as error:
        raise not_cloud_storage(bucket, name) from error
    except GoogleAPICallError as error:
        advised(error, bucket, name)
        raise
    except (GoogleAuthError, RetryError, RequestException) as error:
        note = connection_advice(error, HOST)
        if note is not None:
            error.add_note(note)
        raise


def not_cloud_storage(bucket: str, name: str) -> BadGateway:
    """Return the error for an answer of "200 OK" that Cloud Storage would not give."""
    return not_google(f"gs://{bucket}/{name}", HOST)
