"""Where pins are: names for runs that are to be kept, and read by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_accessor.publication.documents import SCHEMA_VERSION, damage_of, parse
from gcp_accessor.publication.names import PLACES, check_pin_name, check_run_id, is_run_id

if TYPE_CHECKING:
    from gcp_accessor.publication.documents import Documents

_FOLDER = "pins/"


def pin_path(name: str) -> str:
    """Return where a pin is.

    Raises:
        ValueError: no pin can have this name.
    """
    return f"{_FOLDER}{check_pin_name(name)}.json"


def create_pin(documents: Documents, name: str, run_id: str) -> bool:
    """Write a pin where there is none of this name; False if there is one.

    Raises:
        ValueError: no pin can have this name, or it says which run is meant without a pin.
    """
    if name in PLACES or is_run_id(name):
        # Whoever asked for it would be given another run.
        raise ValueError(f"{name!r} is the name of another run; take another for the pin")
    content = {"schema_version": SCHEMA_VERSION, "run_id": run_id}
    return documents.create(pin_path(name), content) is not None


def read_pin(documents: Documents, name: str) -> str | None:
    """Return the run that a pin names, or None where there is no such pin.

    Raises:
        CorruptRun: the pin is damaged.
    """
    path = pin_path(name)
    text = documents.content(path)
    if text is None:
        return None
    uri = documents.uri_of(path)
    content = parse(text, uri)
    with damage_of(uri):
        return check_run_id(content["run_id"])


def pin_names(documents: Documents) -> list[str]:
    """Return the names of all pins."""
    paths = (documents.path_of(stored) for stored in documents.list(_FOLDER))
    return [path.removeprefix(_FOLDER).removesuffix(".json") for path in paths]


def read_pins(documents: Documents) -> dict[str, str]:
    """Return the run of each pin, by the pins' names."""
    found = ((name, read_pin(documents, name)) for name in pin_names(documents))
    return {name: run_id for name, run_id in found if run_id is not None}
