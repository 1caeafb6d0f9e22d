"""The earlier run whose items keep their parameters, so that the scale stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_jobs.errors import CalibrationError, Misuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_jobs.place import Place
    from gcp_accessor.publication.reading import Reading

NO_ANCHOR = "none"
# An item with one of these flags is known by its prior rather than by its answers: the next run
# estimates it anew.
_NOT_KNOWN = frozenset(("no_answers", "too_few_answers", "all_right", "all_wrong"))


def settle(settings: Mapping[str, object], place: Place) -> Mapping[str, object]:
    """Return the settings with the run that `anchor` means.

    "latest" is the published run, if it is of an earlier day. One of this day or a later one
    was anchored itself, or is not to be looked at: its own anchor is followed, so that a
    repeated run finds the same.

    Raises:
        Misuse: there is no such run, or none of an earlier day.
    """
    anchor = str(settings["anchor"])
    if anchor == NO_ANCHOR:
        return settings
    publication = place.store.publication(f"gs://{place.bucket}/calibrate")
    if anchor != "latest":
        try:
            publication.manifest(anchor)
        except ValueError as error:
            raise Misuse(f"the parameter anchor is {anchor!r}: {error}, or latest") from error
        return settings
    manifest = publication.latest()
    while manifest is not None and manifest.as_of >= settings["as_of"]:  # type: ignore[operator]
        earlier = str(manifest.facts["settings"].get("anchor", NO_ANCHOR))
        manifest = None if earlier == NO_ANCHOR else publication.manifest(earlier)
    if manifest is None:
        raise Misuse(
            f"no run of calibrate before {settings['as_of']} is published, so nothing anchors the "
            "scale; run it once without --anchor"
        )
    return {**settings, "anchor": manifest.run_id}


def anchors_of(
    publication: Reading, run_id: str, items: set[str]
) -> dict[str, tuple[float, ...]] | None:
    """Return the parameters to hold, read with verification; None for no run.

    Raises:
        CalibrationError: the run has none of these items.
    """
    if run_id == NO_ANCHOR:
        return None
    content = publication.read("item_parameters.json", run_id=run_id).content
    anchors: dict[str, tuple[float, ...]] = {
        row["item_id"]: (
            row["discrimination"],
            row["intercept"],
            row.get("lower_asymptote", 0.0),
            row.get("upper_asymptote", 1.0),
        )
        for row in content["items"]
        if row["item_id"] in items and _NOT_KNOWN.isdisjoint(row["flags"])
    }
    if not anchors:
        raise CalibrationError(
            f"calibrate: run {run_id} has no item in common with the answers that could anchor "
            "the scale; anchor to another run, or to none. Nothing was published"
        )
    return anchors
