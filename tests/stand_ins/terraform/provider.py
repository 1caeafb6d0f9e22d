"""The provider as a gRPC service, to which Terraform is told to attach itself.

What a resource may hold is in `google.json`. Terraform itself does the comparing: the types, the
names, what is required and how often a block may stand. A plan is what was asked for, and what
the service would fill in is unknown until then, as it is with the real provider.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import msgpack

from tests.stand_ins.terraform.wire import message, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = json.loads((Path(__file__).parent / "google.json").read_text())
ADDRESS = "registry.terraform.io/hashicorp/google"
# As Terraform's protocol has it: what will be known only once it is there.
UNKNOWN = msgpack.ExtType(0, b"\x00")
_NESTING = {"single": 1, "list": 2, "set": 3}


class GoogleProviderStandIn:
    """Serves the provider for as long as the `with` block lasts."""

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((_Services(),))
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)

    @property
    def environment(self) -> dict[str, str]:
        """What tells Terraform to attach to this provider in place of downloading one."""
        address = {"Network": "tcp", "String": f"127.0.0.1:{self._port}"}
        attach = {
            "Protocol": "grpc",
            "ProtocolVersion": 6,
            "Pid": os.getpid(),
            "Test": True,
            "Addr": address,
        }
        return {"TF_REATTACH_PROVIDERS": json.dumps({ADDRESS: attach})}


class _Services(grpc.GenericRpcHandler):
    """Every method that Terraform calls; any other is unimplemented, which it can live with."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        methods: dict[str, Callable[[bytes], bytes]] = {
            "/grpc.health.v1.Health/Check": lambda _: message(f1=1),
            "/plugin.GRPCController/Shutdown": lambda _: b"",
            "/tfplugin6.Provider/GetProviderSchema": lambda _: _schemas(),
            "/tfplugin6.Provider/ValidateProviderConfig": lambda _: b"",
            "/tfplugin6.Provider/ConfigureProvider": lambda _: b"",
            "/tfplugin6.Provider/ValidateResourceConfig": lambda _: b"",
            "/tfplugin6.Provider/PlanResourceChange": _plan,
            "/tfplugin6.Provider/StopProvider": lambda _: b"",
        }
        method = methods.get(details.method)
        if method is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _: method(request))


def _schemas() -> bytes:
    resources = [
        message(f1=name, f2=message(f2=_block(block)))
        for name, block in SCHEMA["resources"].items()
    ]
    return message(f1=message(f2=_block(SCHEMA["provider"])), f2=resources)


def _block(block: dict[str, Any]) -> bytes:
    attributes = []
    for name, text in block["attributes"].items():
        words, _, type_ = text.partition(" ")
        said = words.split("+")
        attributes.append(
            message(
                f1=name,
                f2=json.dumps(type_.split(" of ") if " of " in type_ else type_),
                f4="required" in said,
                f5="optional" in said,
                f6="computed" in said,
            )
        )
    nested = [
        message(
            f1=name,
            f2=_block(each),
            f3=_NESTING[each["nesting"]],
            f4=each.get("min"),
            f5=each.get("max"),
        )
        for name, each in block.get("blocks", {}).items()
    ]
    return message(f2=attributes, f3=nested)


def _plan(request: bytes) -> bytes:
    asked = parsed(request)
    block = SCHEMA["resources"][asked[1].decode()]
    state = msgpack.unpackb(parsed(asked[3])[1], strict_map_key=False)
    if state is not None:
        for name, text in block["attributes"].items():
            if "computed" in text and state[name] is None:
                state[name] = UNKNOWN
    return message(f1=message(f1=msgpack.packb(state)))
