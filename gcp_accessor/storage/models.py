"""Fitted models as objects: in a format that runs no code, or as a pickle that is vouched for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from gcp_accessor.errors import MissingExtra, UnsafeContent
from gcp_accessor.storage.connection import Connection, IfExists
from gcp_accessor.tabular.formats import content_type_of
from gcp_accessor.uris import split_object_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcp_accessor.backends import ObjectWriter, StoredObject

_PICKLES = (".pkl", ".pickle", ".joblib")


class Models(Connection):
    """What `CloudStorageAccessor` does with fitted models."""

    def write_model(
        self,
        uri: str,
        model: object,
        *,
        trust: bool = False,
        if_exists: IfExists = "replace",
        if_generation: int | None = None,
    ) -> StoredObject:
        """Write a fitted scikit-learn model, to be read without running any code of the file.

        The object appears complete or not at all. The same model gives the same bytes, unless it
        holds a set of strings, whose order Python draws by lot.

        Args:
            uri: `gs://bucket/name.skops`. A pickle is .pkl, .pickle or, as joblib writes it,
                .joblib.
            trust: A pickle can be read only by those who trust whoever wrote it; True says that
                this is known.
            if_exists: "replace" overwrites; "fail" leaves what is there.
            if_generation: Write only while the object has this generation.

        Raises:
            UnsafeContent: the name says pickle, without trust=True.
            MissingExtra: without the models extra.
            TypeError: skops has no safe form for something in the model.
            google.api_core.exceptions.PreconditionFailed: as for `write`.

        Example:
            >>> from sklearn.linear_model import LinearRegression
            >>> model = LinearRegression().fit([[0], [1]], [1, 3])
            >>> store.write_model("gs://lessons/trend.skops", model).name
            'trend.skops'
            >>> store.read_model("gs://lessons/trend.skops").predict([[2]]).round()
            array([5.])
        """
        bucket, name = split_object_uri(uri)
        ending = _ending(name, uri)
        _check_trust(ending, uri, trust)
        content_type = content_type_of(name)
        with self._writer(bucket, name, content_type, if_exists, if_generation) as writer:
            _write(ending, model, writer)
        return writer.stored

    def read_model(
        self,
        uri: str,
        *,
        trust: bool = False,
        trusted: Iterable[str] = (),
        generation: int | None = None,
        max_bytes: int | None = None,
    ) -> Any:
        """Return a model, its checksum verified before anything of it is looked at.

        Args:
            uri: What `write_model` wrote.
            trust: Whoever wrote it may run code here: a pickle is read, and every type that a
                .skops file names. Never for a file that came from elsewhere.
            trusted: Types of a .skops file that may be made beside those that are known to be
                safe, such as `sklearn.tree._tree.Tree`; the error lists them.
            generation: Read this version; NotFound if it is no longer there.
            max_bytes: How large a .skops file may be when decompressed; by default 4 GiB.

        Raises:
            UnsafeContent: the object is a pickle, or names types that are not trusted, or is too
                large.
            ValueError: it is not a model of its ending.
            MissingExtra: without the models extra.
            google.api_core.exceptions.NotFound: there is no such object or bucket.
        """
        bucket, name = split_object_uri(uri)
        ending = _ending(name, uri)
        _check_trust(ending, uri, trust)
        with self._backend.reader(bucket, name, generation=generation) as file:
            if ending == ".skops":
                from gcp_accessor.storage import skops_files

                return skops_files.read(file, uri, None if trust else trusted, max_bytes)
            return _unpickled(file, ending, uri)


def _ending(name: str, uri: str) -> str:
    for ending in (".skops", *_PICKLES):
        if name.lower().endswith(ending):
            return ending
    raise ValueError(
        f"{uri} does not say how the model is written; expected a name that ends in .skops, or in "
        f"{', '.join(_PICKLES)} with trust=True"
    )


def _check_trust(ending: str, uri: str, trust: bool) -> None:
    if ending in _PICKLES and not trust:
        raise UnsafeContent(
            f"{uri} is a pickle, and whoever wrote a pickle runs code where it is read; use a name "
            "that ends in .skops, or vouch for it with trust=True"
        )


def _write(ending: str, model: object, writer: ObjectWriter) -> None:
    if ending == ".skops":
        from gcp_accessor.storage import skops_files

        writer.write(skops_files.content_of(model))
    elif ending == ".joblib":
        writer.write(_joblib_bytes(model))
    else:
        import pickle

        pickle.dump(model, writer, protocol=5)


def _joblib_bytes(model: object) -> bytes:
    import io

    buffer = io.BytesIO()
    _joblib().dump(model, buffer, compress=3)
    return buffer.getvalue()


def _unpickled(file: BinaryIO, ending: str, uri: str) -> Any:
    import pickle

    try:
        if ending == ".joblib":
            return _joblib().load(file)
        return pickle.load(file)  # noqa: S301 - the caller vouched for it
    except (pickle.UnpicklingError, EOFError) as error:
        raise ValueError(f"{uri} is not a whole pickle: {error}") from error


def _joblib() -> Any:
    try:
        import joblib
    except ImportError as error:
        raise MissingExtra("a .joblib file", "models") from error
    return joblib
