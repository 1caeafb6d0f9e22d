"""Objects as they are, whatever is in them: listed, described, copied, signed for, deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from gcp_accessor.arguments import check_choice
from gcp_accessor.storage.connection import Connection, IfExists, precondition
from gcp_accessor.uris import (
    check_bucket,
    check_new_bucket,
    split_glob,
    split_object_uri,
    split_uri,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcp_accessor.backends import StoredObject

_LONGEST_SIGNED = timedelta(days=7)


class Objects(Connection):
    """What `CloudStorageAccessor` does with objects, and with what there is of them."""

    def list(self, uri: str) -> Iterator[StoredObject]:
        """Yield the objects at a prefix or a glob, in the order of their names.

        Args:
            uri: `gs://bucket/prefix`; or with `*` and `?`, which stop at a slash, `**`, which
                does not, and `[abc]`.

        Example:
            >>> [each.name for each in store.list("gs://lessons/*.csv.gz")]
            ['items.csv.gz']
        """
        bucket, path = split_uri(uri)
        prefix, pattern = split_glob(path)
        for stored in self._backend.list(bucket, prefix):
            if pattern is None or pattern.fullmatch(stored.name):
                yield stored

    def stat(self, uri: str, *, generation: int | None = None) -> StoredObject:
        """Return an object's generation, size, checksum and type, without its content.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object, version or bucket.
        """
        bucket, name = split_object_uri(uri)
        return self._backend.stat(bucket, name, generation=generation)

    def exists(self, uri: str) -> bool:
        """Return whether the object is there; False also where there is no such bucket."""
        from google.api_core.exceptions import NotFound

        try:
            self.stat(uri)
        except NotFound:
            return False
        return True

    def delete(self, uri: str, *, if_generation: int | None = None) -> None:
        """Delete one object.

        Args:
            if_generation: Only while the object has this generation.

        Raises:
            google.api_core.exceptions.NotFound: there is no such object or bucket.
            google.api_core.exceptions.PreconditionFailed: its generation is another.
        """
        bucket, name = split_object_uri(uri)
        self._backend.delete(bucket, name, if_generation=if_generation)

    def copy(
        self,
        source: str,
        destination: str,
        *,
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
        source_generation: int | None = None,
    ) -> StoredObject:
        """Copy one object within Cloud Storage; its bytes do not come here.

        The copy appears complete or not at all, and keeps the content type and whatever else
        was said of its source.

        Args:
            source: `gs://bucket/name`.
            destination: The copy's `gs://bucket/name`.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Copy only while the destination has this generation.
            source_generation: Copy this version; NotFound if it is no longer there.

        Raises:
            google.api_core.exceptions.NotFound: there is no such source or bucket.
            google.api_core.exceptions.PreconditionFailed: the destination is there and
                if_exists is "fail", or its generation is another.

        Example:
            >>> store.copy("gs://lessons/items.csv.gz", "gs://lessons/2024/items.csv.gz").name
            '2024/items.csv.gz'
        """
        from_bucket, from_name = split_object_uri(source)
        bucket, name = split_object_uri(destination)
        expected, _ = precondition(if_exists, if_generation)
        return self._backend.copy(
            from_bucket,
            from_name,
            bucket,
            name,
            generation=source_generation,
            if_generation=expected,
        )

    def signed_url(
        self,
        uri: str,
        *,
        method: Literal["GET", "HEAD", "PUT", "DELETE"] = "GET",
        expires: timedelta = timedelta(minutes=15),
        content_type: str | None = None,
    ) -> str:
        """Return an address that lets whoever has it read, or write, one object for a while.

        No key file is needed: a service account without one is signed for by IAM, in one
        request, as is the account that is impersonated.

        Args:
            method: What may be done with the object.
            expires: For how long, at most seven days.
            content_type: What a PUT has to send as its Content-Type.

        Raises:
            UnsupportedLocally: the accessor works on a folder.
            google.auth.exceptions.InvalidOperation: the account is a person's, who cannot sign.
            google.auth.exceptions.TransportError: the account may not sign for itself; it needs
                roles/iam.serviceAccountTokenCreator.
        """
        bucket, name = split_object_uri(uri)
        if method not in ("GET", "HEAD", "PUT", "DELETE"):
            raise ValueError(f"method is {method!r}; expected 'GET', 'HEAD', 'PUT' or 'DELETE'")
        if not timedelta(seconds=1) <= expires <= _LONGEST_SIGNED:
            raise ValueError(
                f"expires is {expires}; expected a second at least, seven days at most"
            )
        return self._backend.signed_url(
            bucket, name, method=method, expires=expires, content_type=content_type
        )

    def create_bucket(self, name: str, *, if_exists: Literal["fail", "keep"] = "fail") -> None:
        """Create a bucket with the project's defaults.

        Args:
            if_exists: "keep" leaves the bucket as it is, if this account can see it.

        Raises:
            google.api_core.exceptions.Conflict: the name is taken.
        """
        check_choice("if_exists", if_exists, ("fail", "keep"))
        from google.api_core.exceptions import Conflict

        try:
            self._backend.create_bucket(check_new_bucket(name))
        except Conflict:
            if if_exists == "fail":
                raise
            # Taken by somebody else, perhaps: then this says so.
            next(self.list(f"gs://{name}/"), None)

    def soft_delete_period(self, bucket: str) -> timedelta:
        """Return for how long deleted and replaced objects can be restored; zero: not at all.

        Raises:
            google.api_core.exceptions.Forbidden: the account lacks storage.buckets.get, which
                the roles for objects do not have.
            google.api_core.exceptions.NotFound: there is no such bucket.

        Example:
            >>> store.soft_delete_period("lessons")
            datetime.timedelta(0)
        """
        return self._backend.soft_delete_period(check_bucket(bucket))
