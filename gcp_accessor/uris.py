"""Addresses in Cloud Storage: `gs://bucket/name`, prefixes and globs."""

from __future__ import annotations

import re

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


def check_bucket(bucket: str) -> str:
    """Return `bucket` if Cloud Storage could have one of that name.

    Raises:
        ValueError: it could not.
    """
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ValueError(
            f"{bucket!r} is not a bucket's name; expected 3 or more lower-case letters, digits, "
            "'-', '_' and '.', beginning and ending with a letter or a digit"
        )
    return bucket


def check_name(name: str) -> str:
    """Return `name` if Cloud Storage could hold an object of that name.

    Raises:
        ValueError: it could not.
    """
    if not name or name in {".", ".."} or "\n" in name or "\r" in name or "\0" in name:
        raise ValueError(
            f"{name!r} is not an object's name; expected one that is not empty, '.' or '..', and "
            "has no line break"
        )
    size = len(name.encode())
    if size > 1024:
        raise ValueError(f"the object's name {name[:40]!r}... has {size} bytes; at most 1024 fit")
    return name


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the rest of `gs://bucket/rest`; the rest may be empty.

    Raises:
        ValueError: the address is not of that form.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme != "gs":
        raise ValueError(f"{uri!r} is not an address in Cloud Storage; expected gs://bucket/name")
    bucket, _, name = rest.partition("/")
    return check_bucket(bucket), name


def split_object_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the name of the one object that `uri` addresses.

    Raises:
        ValueError: the address is not of that form, or names no object.
    """
    bucket, name = split_uri(uri)
    return bucket, check_name(name)


def split_glob(path: str) -> tuple[str, re.Pattern[str] | None]:
    """Return the fixed beginning of a glob, and what a whole name must match.

    `*` and `?` stop at a slash, `**` does not, `[abc]` is one of those characters. A path
    without any of them is a prefix and has no pattern.
    """
    wild = re.search(r"[*?\[]", path)
    if wild is None:
        return path, None
    parts = []
    for piece in re.findall(r"\*\*/?|\*|\?|\[[!^]?[^\]]+\]|.", path, re.DOTALL):
        if piece == "**/":
            parts.append(r"(?:.*/)?")
        elif piece == "**":
            parts.append(r".*")
        elif piece == "*":
            parts.append(r"[^/]*")
        elif piece == "?":
            parts.append(r"[^/]")
        elif piece[0] == "[" and len(piece) > 1:
            negated = piece[1] in "!^"
            members = piece[1 + negated : -1].replace("\\", r"\\").replace("[", r"\[")
            parts.append(f"[{'^' if negated else ''}{members}]")
        else:
            parts.append(re.escape(piece))
    return path[: wild.start()], re.compile("".join(parts), re.DOTALL)
