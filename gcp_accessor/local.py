"""Whether an accessor works on Google Cloud or in a folder: one rule for all of them."""

from __future__ import annotations

import os
from pathlib import Path


def local_folder(local: str | os.PathLike[str] | None, *google: object) -> Path | None:
    """Return the folder to work in, None for Google Cloud.

    Args:
        local: What the caller named.
        google: What the caller gave that only Google Cloud has a use for: project, credentials,
            impersonate, client. Where none is given, the environment's GCP_ACCESSOR_LOCAL decides.

    Raises:
        ValueError: both were given.
    """
    on_google = any(given is not None for given in google)
    if local is not None and on_google:
        raise ValueError(
            "local= stands in for Google Cloud; give it without project=, credentials=, "
            "impersonate= and client="
        )
    if local is None and not on_google:
        local = os.environ.get("GCP_ACCESSOR_LOCAL") or None
    return None if local is None else Path(local).absolute()
