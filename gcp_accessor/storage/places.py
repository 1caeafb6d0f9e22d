"""Which file stands for which object, when many are moved at once."""

from __future__ import annotations

import glob
import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

from gcp_accessor.errors import UnsafeContent
from gcp_accessor.uris import check_name, split_glob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcp_accessor.backends import StoredObject

IfFileExists = Literal["replace", "refresh", "fail"]

_LONGEST_PART = 255
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """One file and its object.

    Attributes:
        size: In bytes; None if nobody asked.
        stored: The object as it was listed, whose version is to be read; None if nobody asked.
    """

    path: Path
    bucket: str
    name: str
    size: int | None = None
    stored: StoredObject | None = None

    @property
    def uri(self) -> str:
        """The object's address."""
        return f"gs://{self.bucket}/{self.name}"


def check_if_exists(if_exists: IfFileExists) -> None:
    """Refuse another word.

    Raises:
        ValueError: it is none of the three.
    """
    if if_exists not in get_args(IfFileExists):
        raise ValueError(f"if_exists is {if_exists!r}; expected 'replace', 'refresh' or 'fail'")


def is_content(path: Path, stored: StoredObject) -> bool:
    """Return whether the file is there with the object's size and checksum."""
    if not path.is_file() or path.stat().st_size != stored.size:
        return False
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum.update(block)
    return b64encode(checksum.digest()).decode() == stored.crc32c


# --- Files that become objects ------------------------------------------------------------


def outgoing(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], bucket: str, name: str
) -> list[Pair]:
    """Return each file that `paths` stands for, with the object that it becomes.

    Raises:
        FileNotFoundError: there is no such file, or nothing matches.
        ValueError: several files would become one object.
    """
    if isinstance(paths, str | os.PathLike):
        path = Path(paths)
        if path.is_file() and name and not name.endswith("/"):
            return [_pair(path, bucket, name)]
        found = _files(path)
    else:
        found = [each for path in paths for each in _files(Path(path))]
    if not found:
        raise FileNotFoundError("no file was given to upload")
    folder = f"{name.rstrip('/')}/" if name else ""
    pairs = [_pair(path, bucket, f"{folder}{relative}") for path, relative in found]
    _refuse_twice(pair.uri for pair in pairs)
    return pairs


def _pair(path: Path, bucket: str, name: str) -> Pair:
    return Pair(path, bucket, check_name(name), path.stat().st_size)


def _files(path: Path) -> list[tuple[Path, str]]:
    """The files at a path, in a folder or of a glob, and how each is called from there."""
    if path.is_file():
        return [(path, path.name)]
    if path.is_dir():
        files, start = [each for each in path.rglob("*") if each.is_file()], path
    elif glob.has_magic(str(path)):
        start = Path(*_before_magic(path.parts))
        matches = glob.glob(str(path), recursive=True, include_hidden=True)  # noqa: PTH207 - has `**` for files
        files = [Path(each) for each in matches if Path(each).is_file()]
    else:
        raise FileNotFoundError(f"there is no file or folder {path}")
    if not files:
        raise FileNotFoundError(f"there is no file in {path}")
    return sorted((each, each.relative_to(start).as_posix()) for each in files)


def _before_magic(parts: tuple[str, ...]) -> list[str]:
    for at, part in enumerate(parts):
        if glob.has_magic(part):
            return list(parts[:at])
    return list(parts)


# --- Objects that become files ------------------------------------------------------------


def start_of(path: str) -> int | None:
    """Return where the part of a name that is kept begins, for a prefix or a glob.

    None if the path is the name of one object.
    """
    prefix, pattern = split_glob(path)
    if pattern is None and path and not path.endswith("/"):
        return None
    return prefix.rfind("/") + 1


def incoming(bucket: str, name: str, start: int, folder: Path, stored: StoredObject | None) -> Pair:
    """Return an object with the file in `folder` that it becomes.

    Args:
        start: Where the part of its name begins that is kept.

    Raises:
        UnsafeContent: the name leads out of the folder, or no file can have it.
    """
    for part in name[start:].split("/"):
        if part in {"", ".", ".."} or "\\" in part or len(os.fsencode(part)) > _LONGEST_PART:
            raise UnsafeContent(
                f"gs://{bucket}/{name} cannot become a file in {folder}: its part {part[:40]!r} is "
                "no file's name; read() it, or copy() it to another name first"
            )
    path = folder / PurePosixPath(name[start:])
    return Pair(path, bucket, name, stored.size if stored else None, stored)


def check_apart(pairs: list[Pair]) -> None:
    """Refuse objects that cannot all become files.

    Raises:
        ValueError: two would be one file, or one a file where others need a folder.
    """
    _refuse_twice(str(pair.path) for pair in pairs)
    folders = {parent for pair in pairs for parent in pair.path.parents}
    for pair in pairs:
        if pair.path in folders:
            raise ValueError(f"{pair.uri} would be a file where other objects need a folder")


def refuse_links(path: Path, folder: Path) -> None:
    """Refuse a file whose folders, below `folder`, lead elsewhere.

    Raises:
        UnsafeContent: one of them is a link out of the folder.
    """
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise UnsafeContent(
            f"{path.parent} is a link to {path.parent.resolve()}, outside of {folder}; remove the "
            "link, or download into the folder that it leads to"
        )


def _refuse_twice(names: Iterable[str]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"several of what was named would become {name}")
        seen.add(name)
