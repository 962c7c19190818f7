"""HTTP for operators: `/metrics`, `/livez`, `/readyz`, `/config/effective`.

Alive means that this loop answers. Ready means that participants may be sent here: it is false
before everything listens and from the first moment of shutting down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sfu.shell.endpoint import Endpoint
from sfu.shell.exposition import CONTENT_TYPE
from sfu.shell.udp import ListenError, listen_error

# Probes and scrapes have no body; whoever sends one is mistaken.
REQUEST_BYTES_MAX = 4_096
# Scrapes that are still running at the end are cut off; nobody waits for them.
SHUTDOWN_S = 0.1


class OpsHttp:
    """The operators' server. Only `serve` and `close` have effects outside."""

    def __init__(
        self,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        is_ready: Callable[[], bool],
        effective: Callable[[], dict[str, Any]],
    ) -> None:
        self._metrics = metrics
        self._is_ready = is_ready
        self._effective = effective
        self._runner: web.AppRunner | None = None

    async def serve(self, endpoint: Endpoint) -> Endpoint:
        """Listen; returns where, with the port that was chosen. Raises ListenError."""
        app = web.Application(client_max_size=REQUEST_BYTES_MAX)
        app.router.add_get("/metrics", self._get_metrics)
        app.router.add_get("/livez", self._get_livez)
        app.router.add_get("/readyz", self._get_readyz)
        app.router.add_get("/config/effective", self._get_effective)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, endpoint.host, endpoint.port).start()
        except OSError as error:
            await self.close()
            raise ListenError(listen_error("http.listen", endpoint, error)) from None
        return Endpoint(*self._runner.addresses[0][:2])

    async def close(self) -> None:
        """Stop listening; idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def _get_livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _get_readyz(self, _request: web.Request) -> web.Response:
        if self._is_ready():
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)

    async def _get_effective(self, _request: web.Request) -> web.Response:
        return web.json_response(self._effective())
