"""Addresses in Cloud Storage: `gs://bucket/name`, prefixes and globs."""

from __future__ import annotations

import re

from gcp_accessor.arguments import check_text

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def check_bucket(bucket: str) -> str:
    """Return `bucket` if Cloud Storage could have one of that name.

    Raises:
        TypeError: it is not a str.
        ValueError: it could not.
    """
    check_text("the bucket's name", bucket)
    parts = bucket.split(".")
    if (
        not _BUCKET.fullmatch(bucket)
        or _IP_ADDRESS.fullmatch(bucket)
        or not all(0 < len(part) <= 63 for part in parts)
    ):
        raise ValueError(
            f"{bucket!r} is not a bucket's name; expected 3 to 63 lower-case letters, digits, '-' "
            "and '_', beginning and ending with a letter or a digit, or a domain of such parts"
        )
    return bucket


def check_new_bucket(bucket: str) -> str:
    """Return `bucket` if somebody other than Google may make one of that name.

    Raises:
        TypeError: it is not a str.
        ValueError: Cloud Storage has no such names, or keeps it for Google.
    """
    check_bucket(bucket)
    if bucket.startswith("goog") or "google" in bucket:
        raise ValueError(
            f"{bucket!r} is kept for Google; expected a name that does not begin with 'goog' and "
            "has no 'google' in it"
        )
    return bucket


def check_name(name: str) -> str:
    """Return `name` if Cloud Storage could hold an object of that name.

    Raises:
        TypeError: it is not a str.
        ValueError: it could not.
    """
    check_text("the object's name", name)
    if not name or name in {".", ".."} or "\n" in name or "\r" in name or "\0" in name:
        raise ValueError(
            f"{name!r} is not an object's name; expected one that is not empty, '.' or '..', and "
            "has no line break"
        )
    if name.startswith(".well-known/acme-challenge/"):
        raise ValueError(
            f"{name!r} is not an object's name; expected none under .well-known/acme-challenge/, "
            "which Cloud Storage keeps for certificates"
        )
    size = len(name.encode())
    if size > 1024:
        raise ValueError(f"the object's name {name[:40]!r}... has {size} bytes; at most 1024 fit")
    return name


def check_path(name: str) -> str:
    """Return `name`, which stands beside its bucket's, if it is an object's and no whole address.

    Raises:
        TypeError: it is not a str.
        ValueError: it is an address, or no object could have it.
    """
    check_name(name)
    if name.startswith("gs://"):
        raise ValueError(
            f"{name!r} is a whole address; expected the object's name alone, beside its bucket's"
        )
    return name


def split_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the rest of `gs://bucket/rest`; the rest may be empty.

    Raises:
        TypeError: the address is not a str. A Path, which makes one slash of two, is not.
        ValueError: the address is not of that form.
    """
    if not isinstance(uri, str):
        raise TypeError(
            f"the address {str(uri)!r} is a {type(uri).__name__}; expected 'gs://bucket/name' as "
            "a str"
        )
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
