"""The SDK against a live server: calls, reconnects, retries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from control import Client, ConnectionLost, ControlError, ErrorCode, Key
from control.client import REFUSED_WAIT_S
from control.commands import COMMANDS, RoomCreate, RoomGet, SyncedParticipant
from control.errors import ProtocolError
from control.lockout import FAILURES_MAX, WINDOW_S
from control.types import Role
from tests.control.conftest import ADMIN, KEYS, READER, Serve, Served
from tests.control.proxy import through_proxy
from tests.control.wire import PATIENCE_S


def client_of(served: Served, **settings: Any) -> Client:
    """A client of this server."""
    return Client(str(served.endpoint), **settings)


async def use_the_stage(client: Client, who: Any) -> None:
    """The commands on one participant that the small life has no use for."""
    assert (await client.participant_update(**who, name="new")).name == "new"
    assert (await client.participant_move(**who, to_room="r")).participant == "p"
    assert await client.participant_restart_ice(**who, offer="o") == "restarted by o"
    assert (await client.stage_invite(**who, expires_s=5)).invited_until is not None
    assert (await client.stage_decline(**who)).invited_until is None
    assert (await client.stage_accept(**who)).muted
    assert (await client.track_set_priority(**who, priority_db=3.5)).priority_db == 3.5
    assert (await client.subscription_update(**who, paused=True, always=["q"])).paused
    assert (await client.subscription_get(**who)).mode == "auto"
    assert (await client.participant_set_role(**who, role=Role.LISTENER)).role == "listener"


async def use_the_room(client: Client) -> None:
    """The commands on a whole room, and on the daemon."""
    assert (await client.room_update(room="r", slots=4, if_version=1)).slots == 4
    await client.room_lock(room="r")
    await client.room_unlock(room="r")
    assert await client.room_mute_all(room="r", except_roles=["moderator"]) == ["p"]
    assert await client.room_unmute_all(room="r", lock=True) == []
    wanted = [SyncedParticipant(participant="q", role=Role.LISTENER)]
    synced = await client.room_sync(room="r", participants=wanted)
    assert (synced.removed, synced.missing) == (1, ["q"])
    await client.server_drain(deadline_s=60)
    await client.server_undrain()


async def test_every_command_has_its_coroutine(served: Served) -> None:
    """Typed both ways; the whole small life of a room."""
    async with client_of(served) as client:
        assert client.hello is not None and client.hello.node == "n1"
        assert (await client.room_create(room="r", slots=2, metadata={"a": 1})).slots == 2
        joined = await client.participant_join(
            room="r", participant="p", role="speaker", offer="o", profile="music"
        )
        assert (joined.answer, joined.participant.role) == ("answer to o", Role.SPEAKER)
        assert joined.participant.profile == "music"
        who = {"room": "r", "participant": "p"}
        assert (await client.participant_set_role(**who, role=Role.LISTENER)).role == "listener"
        assert (await client.track_mute(**who, lock=True)).mute_locked
        assert not (await client.track_unmute(**who, lock=True)).muted
        assert [hand.participant for hand in await client.hand_raise(**who)] == ["p"]
        assert [hand.participant for hand in (await client.hand_list(room="r")).hands] == ["p"]
        assert (await client.participant_get(**who)).hand is not None
        assert await client.hand_lower(**who) == []
        assert len((await client.participant_list(room="r", role="listener")).participants) == 1
        assert (await client.room_snapshot(room="r")).epoch == "e1"
        await use_the_stage(client, who)
        await use_the_room(client)
        await client.participant_remove(room="r", participant="p", ban_s=5)
        assert (await client.room_get(room="r")).metadata == {"a": 1}
        assert len((await client.room_list()).rooms) == 1
        await client.room_close(room="r", reason="done")
        assert (await client.server_info()).version == "1.2.3"
        assert "done" in await client.server_stats()
        await client.ping()
    assert {command.method for command in served.daemon.done} == set(COMMANDS)


async def test_refusals_are_raised(served: Served) -> None:
    """With code and detail; the connection stays."""
    async with client_of(served) as client:
        with pytest.raises(ControlError) as refused:
            await client.room_get(room="x")
        assert refused.value.code is ErrorCode.NOT_FOUND
        assert refused.value.detail == {"what": "room"}
        await client.ping()
    assert served.server.counters()["connections"] == 1


@pytest.mark.parametrize("metadata", [{"a": {1: 2}}, {"a": b"x" * 1_100_000}])
async def test_what_the_daemon_would_hang_up_on_is_refused_here(
    served: Served, metadata: dict[str, Any]
) -> None:
    """A frame that is malformed or too long never leaves."""
    async with client_of(served) as client:
        with pytest.raises(ControlError) as refused:
            await client.room_create(room="x", metadata=metadata)
        assert refused.value.code is ErrorCode.INVALID_ARGUMENT
    assert served.server.counters()["connections"] == 1
    assert served.server.counters().get("protocol_errors", 0) == 0


@pytest.mark.parametrize("key", [None, Key("admin", b"wrong"), Key("nobody", b"x")])
async def test_a_refused_key_is_raised_at_connect(serve: Serve, key: Key | None) -> None:
    """Not retried."""
    served = await serve(*KEYS)
    with pytest.raises(ControlError) as refused:
        await client_of(served, key=key).connect()
    assert refused.value.code is ErrorCode.UNAUTHENTICATED


async def test_keys_are_used_when_asked_for(serve: Serve) -> None:
    """With scopes in force; a key is no harm where none is asked for."""
    served = await serve(*KEYS)
    async with client_of(served, key=READER) as client:
        with pytest.raises(ControlError, match="permission_denied"):
            await client.room_create(room="x")
    async with client_of(await serve(), key=ADMIN) as client:
        await client.room_create(room="x")


async def test_nobody_there_is_connection_lost(served: Served) -> None:
    """At once, or after the time given to wait; and an unconnected client says so."""
    await served.server.close()
    with pytest.raises(ConnectionLost, match="cannot connect to 127.0.0.1"):
        await client_of(served).connect()
    with pytest.raises(ConnectionLost, match="not connected"):
        await client_of(served).ping()


async def test_the_first_connection_can_be_waited_for(serve: Serve) -> None:
    """A backend may start before its daemon."""
    first = await serve()
    address = str(first.endpoint)
    await first.server.close()
    connecting = asyncio.create_task(Client(address, connect_within_s=PATIENCE_S).connect())
    await asyncio.sleep(0.05)
    await serve(address=address)
    await connecting


async def test_a_deadline_is_raised(served: Served) -> None:
    """Whoever notices it first."""
    served.daemon.hold("slow")
    async with client_of(served, deadline_s=0.05) as client:
        with pytest.raises(ControlError) as late:
            await client.room_create(room="slow")
        assert late.value.code is ErrorCode.DEADLINE_EXCEEDED
        await client.ping()


async def test_a_command_in_flight_is_asked_again_and_done_once(served: Served) -> None:
    """Its automatic key finds it on the next connection."""
    gate = served.daemon.hold("slow")
    async with through_proxy(served) as (proxy, client):
        calling = asyncio.create_task(client.room_create(room="slow"))
        while not served.daemon.done:
            await asyncio.sleep(0)
        proxy.cut()
        while served.server.counters().get("idempotent_repeats", 0) < 1:
            await asyncio.sleep(0.01)
        gate.set_result(None)
        assert (await calling).room == "slow"
    assert served.daemon.done == [RoomCreate(room="slow")]


async def test_without_a_key_a_change_in_flight_is_lost(served: Served) -> None:
    """The caller has to find out; a question is simply asked again."""
    served.daemon.hold("slow")
    async with through_proxy(served, automatic_keys=False) as (proxy, client):
        changing = asyncio.create_task(client.room_create(room="slow"))
        asking = asyncio.create_task(client.call(RoomGet(room="slow")))
        while len(served.daemon.done) < 2:
            await asyncio.sleep(0)
        proxy.cut()
        with pytest.raises(ConnectionLost):
            await changing
        served.daemon.held.clear()
        with pytest.raises(ControlError, match="no such room"):
            await asking


async def test_calls_wait_for_the_connection_within_their_deadline(served: Served) -> None:
    """A cut is not noticed by who calls later; a lasting one is ConnectionLost."""
    async with through_proxy(served) as (proxy, client):
        proxy.cut()
        await client.ping()
        proxy.stop()
        with pytest.raises(ConnectionLost, match="in time"):
            await client.call(RoomGet(room="x"), deadline_s=0.2)


async def test_a_key_that_is_refused_on_reconnect_locks_nobody_out(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was forgotten when keys were rotated shares an address with those who were not."""
    monkeypatch.setattr("control.client.BACKOFF_MAX_S", 0.0)
    served = await serve(*KEYS)
    async with client_of(served, key=ADMIN) as forgotten, client_of(served, key=READER) as known:
        served.server.replace_keys([Key("admin", b"new", ("admin",)), READER])
        for connection in tuple(served.server._hub.open):
            if connection._session.key_id == "admin":
                connection.abort()
        while not forgotten._refusal:
            await known.ping()
        for _ in range(200):
            await known.ping()
        assert served.server.counters()["wrong_macs"] == 1
        async with client_of(served, key=READER) as another:
            await another.ping()
    assert WINDOW_S / REFUSED_WAIT_S < FAILURES_MAX


async def test_a_key_that_is_refused_on_reconnect_is_told_to_callers(serve: Serve) -> None:
    """They do not wait for their deadline."""
    old, new = await serve(), await serve(ADMIN)
    async with through_proxy(old) as (proxy, client):
        proxy.target = new.endpoint
        proxy.cut()
        with pytest.raises(ControlError) as refused:
            await client.ping()
        assert refused.value.code is ErrorCode.UNAUTHENTICATED


async def test_closing_ends_calls_and_iterators(served: Served) -> None:
    """At once, and twice is fine."""
    served.daemon.hold("slow")
    client = client_of(served)
    await client.connect()
    calling = asyncio.create_task(client.room_create(room="slow"))
    stream = client.events()
    listening = asyncio.create_task(anext(stream, None))
    while not served.daemon.done:
        await asyncio.sleep(0)
    await client.close()
    await client.close()
    with pytest.raises(ConnectionLost):
        await calling
    assert await listening is None
    with pytest.raises(ConnectionLost, match="closed"):
        await client.ping()


async def test_a_daemon_that_talks_nonsense_is_not_believed() -> None:
    """Its connection is dropped and the attempt fails."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises((ConnectionLost, ProtocolError), match="protocol"):
        await Client("127.0.0.1", port).connect()
    server.close()
