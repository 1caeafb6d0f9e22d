"""The HTTP server under the stand-ins."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class LoopbackServer(ThreadingHTTPServer):
    """A server that says nothing of clients that left: tests kill some on purpose."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what a request died of, unless it was the client that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
