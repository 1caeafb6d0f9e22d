"""Terraform's Google provider as far as `validate` and `plan` go, without a cloud or a download."""

from tests.stand_ins.terraform.provider import GoogleProviderStandIn

__all__ = ["GoogleProviderStandIn"]
