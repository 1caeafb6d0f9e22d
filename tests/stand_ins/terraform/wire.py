"""Protocol buffers by field number: enough to speak a protocol whose messages are few."""

from __future__ import annotations

_VARINT, _BYTES = 0, 2


def message(**fields: object) -> bytes:
    """Return a message; `f3=b"x"` is its field 3. Lists are repeated, None is left out."""
    encoded = b""
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            encoded += _field(int(name.removeprefix("f")), each)
    return encoded


def parsed(content: bytes) -> dict[int, bytes]:
    """Return the texts and messages of a message by their fields' numbers, the last of each."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        tag, at = _read(content, at)
        if tag & 7 == _BYTES:
            length, at = _read(content, at)
            found[tag >> 3] = content[at : at + length]
            at += length
        else:
            assert tag & 7 == _VARINT, f"a field of wire type {tag & 7}"
            _, at = _read(content, at)
    return found


def _field(number: int, value: object) -> bytes:
    match value:
        case None | False | 0 | "":
            return b""
        case int():
            return _varint(number << 3 | _VARINT) + _varint(int(value))
        case str():
            return _field(number, value.encode())
        case bytes():
            return _varint(number << 3 | _BYTES) + _varint(len(value)) + value
    raise TypeError(f"{value!r} is not to be sent")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _read(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
