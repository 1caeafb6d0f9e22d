"""Acting as a service account, without a key of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import google.auth
from google.auth import environment_vars, impersonated_credentials
from google.auth.exceptions import DefaultCredentialsError

from gcp_accessor.backends.google.connection_advice import SIGN_IN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.auth.credentials import Credentials

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def impersonated(chain: Sequence[str], source: Credentials | None) -> Credentials:
    """Return credentials of the chain's last account; each one before it vouches for the next.

    Their tokens last an hour and are renewed by themselves. Requests are charged to the
    account's own project; to another one if GOOGLE_CLOUD_QUOTA_PROJECT, or credentials that
    were handed in, say so. A person's own quota project is not passed on, because the account
    may seldom use it.

    Args:
        chain: Addresses of service accounts, of which the last one is to act.
        source: Who asks; None is the environment's account.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: the environment has no account.
    """
    quota = getattr(source, "quota_project_id", None)
    if source is None:
        try:
            source, _ = google.auth.default(scopes=_SCOPES)
        except DefaultCredentialsError as error:
            error.add_note(SIGN_IN)
            raise
    *delegates, account = chain
    return impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=account,
        target_scopes=list(_SCOPES),
        delegates=[f"projects/-/serviceAccounts/{each}" for each in delegates],
        quota_project_id=quota or os.environ.get(environment_vars.GOOGLE_CLOUD_QUOTA_PROJECT),
    )
