"""Janus's API as the adapter speaks it, against a server that is played by the test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.targets import TargetError, janus_api
from bench.targets.janus_api import JanusApi, JanusError

Json = dict[str, Any]


class Played:
    """One accepted connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(False)

    async def read(self) -> Json:
        data = await asyncio.get_running_loop().sock_recv(self._connection, 10_000)
        assert data, "hung up"
        return dict(json.loads(data))

    def write(self, message: Json) -> None:
        self._connection.send(json.dumps(message).encode())

    def answer(self, request: Json, **message: Any) -> None:
        self.write({"transaction": request["transaction"], **message})

    def data(self, request: Json, data: Json, **more: Any) -> None:
        self.answer(request, janus="event", plugindata={"data": data}, **more)

    def close(self) -> None:
        self._connection.close()


async def connect(path: Path) -> tuple[JanusApi, Played]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as listener:
        listener.bind(str(path))
        listener.listen()
        connecting = asyncio.create_task(JanusApi.connect(path))
        await asyncio.sleep(0)
        played = Played(listener.accept()[0])
    info = await played.read()
    assert info["janus"] == "info" and "session_id" not in info
    played.answer(info, janus="server_info", version_string="9.8.7")
    create = await played.read()
    assert create["janus"] == "create"
    played.answer(create, janus="success", data={"id": 77})
    return await connecting, played


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[JanusApi, Played]]:
    api, played = await connect(tmp_path / "api")
    yield api, played
    api.close()
    played.close()


async def test_answers_may_come_in_any_order(both: tuple[JanusApi, Played]) -> None:
    api, played = both
    assert api.version == "9.8.7"
    tasks = [asyncio.create_task(api.message(handle, {"n": handle})) for handle in (1, 2)]
    requests = [await played.read() for _ in tasks]
    for request in reversed(requests):
        assert request["session_id"] == 77
        played.answer(request, janus="ack")
        played.data(request, {"got": request["body"]["n"]}, jsep={"sdp": "v=0"})
    assert [await task for task in tasks] == [
        {"got": handle, "jsep": {"sdp": "v=0"}} for handle in (1, 2)
    ]


async def test_a_refusal_is_told_with_its_reason(both: tuple[JanusApi, Played]) -> None:
    api, played = both
    task = asyncio.create_task(api.message(1, {}))
    played.data(await played.read(), {"error": "no such room", "error_code": 426})
    with pytest.raises(JanusError, match="no such room"):
        await task
    task2 = asyncio.create_task(api.attach("videoroom"))
    played.answer(await played.read(), janus="error", error={"reason": "no such plugin"})
    with pytest.raises(JanusError, match="no such plugin"):
        await task2


async def test_a_connected_client_is_noticed(both: tuple[JanusApi, Played]) -> None:
    api, played = both
    attaching = asyncio.create_task(api.attach("videoroom"))
    played.answer(await played.read(), janus="success", data={"id": 5})
    handle = await attaching
    assert not await api.wait_connected(handle, within_s=0)
    waiting = asyncio.create_task(api.wait_connected(handle, within_s=20))
    played.write({"janus": "webrtcup", "sender": 5})
    assert await waiting
    assert api.notices == {"webrtcup": 1}
    assert not await api.wait_connected(6, within_s=20)


async def test_a_hang_up_ends_everything_under_way(both: tuple[JanusApi, Played]) -> None:
    api, played = both
    task = asyncio.create_task(api.message(1, {}))
    await played.read()
    played.close()
    with pytest.raises(TargetError, match="janus has ended"):
        await task
    with pytest.raises(TargetError, match="closed"):
        await api.message(1, {})


async def test_silence_is_not_waited_for(
    both: tuple[JanusApi, Played], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janus_api, "_ANSWER_WITHIN_S", 0.01)
    with pytest.raises(TargetError, match="did not answer `attach`"):
        await both[0].attach("videoroom")


async def test_a_message_that_janus_would_cut_off_is_not_sent(
    both: tuple[JanusApi, Played],
) -> None:
    with pytest.raises(TargetError, match="8191 at most"):
        await both[0].message(1, {"sdp": "v" * 8_191})


async def test_many_messages_wait_for_a_slow_reader(both: tuple[JanusApi, Played]) -> None:
    api, played = both
    tasks = [asyncio.create_task(api.message(n, {"pad": "p" * 8_000})) for n in range(200)]
    await asyncio.sleep(0)
    for n in range(200):
        request = await played.read()
        assert request["handle_id"] == n
        played.data(request, {"n": n})
    assert [(await task)["n"] for task in tasks] == list(range(200))


async def test_nobody_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot connect to .*: No such file or directory"):
        await JanusApi.connect(tmp_path / "nowhere")
