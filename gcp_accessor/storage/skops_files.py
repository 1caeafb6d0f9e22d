"""Models as skops writes them: arrays and a description, which run no code when they are read."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

from gcp_accessor.errors import MissingExtra, UnsafeContent
from gcp_accessor.tabular.streams import check_growth

if TYPE_CHECKING:
    from collections.abc import Iterable

_SCHEMA = "schema.json"


def content_of(model: object) -> bytes:
    """Return a model as a .skops file; equal models give equal bytes.

    Raises:
        TypeError: something in it has no safe form.
        MissingExtra: skops is not installed.
    """
    io_ = _skops_io()
    try:
        content: bytes = io_.dumps(model)
    except TypeError as error:
        error.add_note(
            "a .skops file cannot hold this model; where everybody who reads it trusts you, write "
            "a .pkl with trust=True"
        )
        raise
    return _settled(content)


def read(file: BinaryIO, where: str, trusted: Iterable[str] | None, max_bytes: int | None) -> Any:
    """Return the model in a .skops file.

    Args:
        where: The object's address, for messages.
        trusted: Types that may be made beside the safe ones; None is all that it names.
        max_bytes: How large it may be when decompressed; by default 4 GiB.

    Raises:
        UnsafeContent: it names other types, or is too large.
        ValueError: it is no such file.
        MissingExtra: skops is not installed.
    """
    io_ = _skops_io()
    try:
        with zipfile.ZipFile(file) as held:
            # zipfile gives out no more of a member than is declared here.
            size = sum(member.file_size for member in held.infolist())
            has_schema = _SCHEMA in held.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{where} is not a .skops file: {error}") from error
    if not has_schema:
        raise ValueError(f"{where} is not a .skops file: it has no {_SCHEMA}")
    check_growth(size, where, max_bytes)
    named = io_.get_untrusted_types(file=file)
    allowed = named if trusted is None else list(trusted)
    unknown = sorted(set(named) - set(allowed))
    if unknown:
        raise UnsafeContent(
            f"{where} names types that may not be safe: {', '.join(unknown)}; if you trust whoever "
            f"wrote it, give trusted={unknown!r}"
        )
    return io_.load(file, trusted=allowed)


def _settled(content: bytes) -> bytes:
    """The same file without what is of this process alone: times, and addresses in memory."""
    numbers: dict[str, int] = {}

    def number_of(address: object) -> int:
        return numbers.setdefault(str(address), len(numbers))

    with zipfile.ZipFile(io.BytesIO(content)) as held:
        members = {name: held.read(name) for name in held.namelist()}

    def renamed(name: str) -> str:
        stem, dot, ending = name.partition(".")
        return f"{number_of(stem)}{dot}{ending}"

    def settled(key: str | None, value: Any) -> Any:
        match value:
            case dict():
                return {name: settled(name, item) for name, item in value.items()}
            case list():
                return [settled(None, item) for item in value]
            case int() if key == "__id__":
                return number_of(value)
            case str() if key == "file" and value in members:
                return renamed(value)
        return value

    schema = json.dumps(settled(None, json.loads(members.pop(_SCHEMA))), separators=(",", ":"))
    arrays = {renamed(name): array for name, array in members.items()}
    settled_file = io.BytesIO()
    with zipfile.ZipFile(settled_file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            _add(archive, name, array)
        _add(archive, _SCHEMA, schema.encode())
    return settled_file.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # Without a time of its own, a member is from 1980.
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def _skops_io() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise MissingExtra("a .skops file", "models") from error
    return skops.io
