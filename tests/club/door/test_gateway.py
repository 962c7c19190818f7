"""Codes by a gateway for text messages: one request for each, refusals and silence are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from deploy.club.door.gateway import GatewaySender, sender_of
from deploy.club.door.sender import CodeSender, LogSender, SendError
from deploy.club.settings import Settings
from deploy.club.web.routes import Handler
from tests.club.door.people import SETTINGS

PHONE = "+4915120000001"


@asynccontextmanager
async def gateway(answer: Handler) -> AsyncIterator[Settings]:
    """The settings of a club whose gateway answers so."""
    app = web.Application()
    app.router.add_post("/messages", answer)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("/messages"))
    try:
        yield replace(
            SETTINGS,
            base_url="https://club.example.org",
            code_gateway_url=url,
            code_gateway_key="key of the gateway",
        )
    finally:
        await server.close()


async def test_a_message_says_the_code_in_the_language_of_who_asked() -> None:
    asked: list[tuple[str | None, Any]] = []

    async def take(request: web.Request) -> web.Response:
        asked.append((request.headers.get("Authorization"), await request.json()))
        return web.Response(status=202)

    async with gateway(take) as settings, sender_of(settings) as sender:
        await sender.send(PHONE, "123456", "de")
    ((key, message),) = asked
    assert key == "Bearer key of the gateway"
    assert (message["to"], message["code"], message["language"]) == (PHONE, "123456", "de")
    first, *_, last = message["text"].splitlines()
    assert first.startswith("123456 ist dein Code für Rostrum Club.")
    # So telephones fill it in on this site and on no other.
    assert last == "@club.example.org #123456"


@pytest.mark.parametrize("status", [302, 400, 500])
async def test_a_gateway_that_refuses_is_told(status: int) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with gateway(refuse) as settings, sender_of(settings) as sender:
        with pytest.raises(SendError, match=str(status)):
            await sender.send(PHONE, "123456", "en")


async def test_a_gateway_that_is_silent_or_away_is_told() -> None:
    async def wait(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with gateway(wait) as settings, sender_of(settings, patience_s=0.05) as sender:
        with pytest.raises(SendError, match="TimeoutError"):
            await sender.send(PHONE, "123456", "en")
    away = replace(SETTINGS, code_gateway_url="http://127.0.0.1:9/")
    async with sender_of(away) as sender:
        with pytest.raises(SendError, match="Connect"):
            await sender.send(PHONE, "123456", "en")


async def test_without_a_gateway_codes_go_to_the_log() -> None:
    async with sender_of(SETTINGS) as sender:
        assert isinstance(sender, LogSender)
    senders: list[CodeSender] = []
    async with sender_of(replace(SETTINGS, code_gateway_url="http://127.0.0.1:9/")) as sender:
        senders.append(sender)
    assert isinstance(senders[0], GatewaySender)
