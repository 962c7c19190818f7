"""Servers under load: started where asked, joined by real clients, counted, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from bench.crowd import Crowd, Kit
from bench.handshake import Handshakes
from bench.namespaces import inside, joined_namespaces
from bench.targets import JoinRefused, Lines, Place, TargetError, processes
from bench.targets.janus import Janus
from bench.targets.janus_config import Installed, Settings, find_janus, write_config
from bench.targets.janus_mixes import AudioBridge, StreamedMix
from bench.targets.processes import ServerProcess, command_at, read_pss_kib, read_usage
from bench.targets.rostrum import AttachedRostrum, Rostrum, http_get
from control import Key
from tests.bench import needs
from tests.bench.conversation import converse


class Refuser:
    """A peer whose offer no server takes."""

    def offer(self, lines: Lines) -> str:
        return "v=0\r\n"

    def accept(self, answer: str) -> None:
        raise AssertionError("it should have been refused")

    def answer(self, offer: str) -> str:
        raise AssertionError("it should have been refused")


def python(*code: str) -> list[str]:
    return [sys.executable, "-u", "-c", "\n".join(code)]


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("lines", "count"), [(Lines(True, 0), 1), (Lines(True, 3), 3), (Lines(False, 2), 2)]
)
def test_an_offer_has_a_line_for_each_voice_and_one_for_the_own(lines: Lines, count: int) -> None:
    assert lines.count == count


# Processes


def test_cpu_memory_and_switches_of_this_process_are_read() -> None:
    before = read_usage([os.getpid()])
    while os.times().user + os.times().system < before.cpu_s + 0.05:
        sum(range(10_000))
    after = read_usage([os.getpid()])
    assert 0.04 <= after.cpu_s - before.cpu_s < 5
    assert after.threads >= 1
    assert after.involuntary_switches + after.voluntary_switches > 0
    twice = read_usage([os.getpid(), os.getpid()])
    assert 1.5 * after.rss_kib < twice.rss_kib < 2.5 * after.rss_kib
    assert 1_000 < read_pss_kib([os.getpid()]) <= after.rss_kib * 1.1


async def test_a_server_runs_on_its_core_until_it_is_stopped(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    server = await ServerProcess.start(
        "sleeper",
        Place(cpu=core),
        python("print('ready')", "import time; time.sleep(60)"),
        log=tmp_path / "log",
        folder=tmp_path,
    )
    await server.wait_until(lambda: "ready" in server.log_text(), within_s=20)
    assert os.sched_getaffinity(server.pid) == {core}
    await server.stop()
    await server.stop()
    assert not is_there(server.pid)
    with pytest.raises(TargetError, match=f"process {server.pid} has ended"):
        read_usage([server.pid])


async def test_a_server_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_STOP_WITHIN_S", 0.1)
    code = ("import signal, time", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    server = await ServerProcess.start(
        "stubborn",
        Place(),
        python(*code, "print('ready')", "time.sleep(60)"),
        log=tmp_path / "log",
        folder=tmp_path,
    )
    await server.wait_until(lambda: "ready" in server.log_text(), within_s=20)
    await server.stop()
    assert not is_there(server.pid)


async def test_a_server_that_ends_early_is_quoted(tmp_path: Path) -> None:
    server = await ServerProcess.start(
        "mayfly",
        Place(),
        python("raise SystemExit('no such device')"),
        log=tmp_path / "log",
        folder=tmp_path,
    )
    with pytest.raises(TargetError, match="mayfly did not start: no such device"):
        await server.wait_until(lambda: False, within_s=20)
    await server.stop()


async def test_a_server_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    server = await ServerProcess.start(
        "sleeper",
        Place(),
        python("import time; time.sleep(60)"),
        log=tmp_path / "log",
        folder=tmp_path,
    )
    with pytest.raises(TargetError, match="sleeper was not ready within 0 s: it said nothing"):
        await server.wait_until(lambda: False, within_s=0.05)
    await server.stop()


async def test_a_server_does_not_outlive_a_load_tester_that_is_killed(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    owner = await asyncio.create_subprocess_exec(
        *python(
            "import asyncio, pathlib",
            "from bench.targets import Place",
            "from bench.targets.processes import ServerProcess",
            "async def main():",
            f"    place, log = Place(), pathlib.Path({log!r})",
            "    server = await ServerProcess.start(",
            "        'sleeper', place, ['sleep', '60'], log=log, folder=log.parent)",
            "    print(server.pid)",
            "    await asyncio.sleep(60)",
            "asyncio.run(main())",
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    assert is_there(pid)
    owner.kill()
    await owner.wait()
    async with asyncio.timeout(20):
        while is_there(pid) and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.01)


def test_a_place_with_a_namespace_is_entered_first() -> None:
    command = command_at(Place(cpu=3, namespace="there"), ["server", "--on"])
    entered = command.index("ip")
    assert command[entered : entered + 4] == ["ip", "netns", "exec", "there"]
    assert command[entered + 4 : entered + 7] == ["taskset", "--cpu-list", "3"]
    assert command[-2:] == ["server", "--on"]


def test_nothing_is_started_for_a_load_tester_that_is_gone(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    command = command_at(Place(), ["touch", str(touched)])
    assert str(os.getpid()) in command
    # Its parent is another process than the one the command was made for.
    subprocess.run(["sh", "-c", '"$@"; true', "sh", *command], check=True)
    assert not touched.exists()
    subprocess.run(command, check=True)
    assert touched.exists()


# Rostrum


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_rostrum_is_started_heard_counted_and_stopped(address: str) -> None:
    async with Rostrum(Place(address)) as target:
        [pid] = target.pids()
        heard = await converse(target, speakers=2, listeners=3)
        assert [len(tracks) for tracks in heard.heard] == [2, 2, 2]
        assert heard.lost == heard.auth_errors == 0
        assert heard.delays >= 60
        assert not heard.after_leaving.value == "connected"
        counters = await target.counters()
        assert counters["forwarded"] >= 60
        assert counters["received"] >= 20
        assert counters["dropped"] == 0
        assert counters["udp_sent"] >= counters["forwarded"]
        assert read_usage([pid]).cpu_s > 0
    assert not is_there(pid)


async def test_rostrum_tells_whom_it_refuses_and_why() -> None:
    async with Rostrum() as target:
        await target.create_room("r", slots=2, speakers=1)
        with pytest.raises(JoinRefused, match="invalid_argument") as caught:
            await target.join("r", "s", "speaker", Refuser())
        assert caught.value.limit is None
        with closing(Crowd(Kit(Handshakes(), Random(1)))) as crowd:
            await target.join("r", "s1", "speaker", crowd.client("s1", "speaker"))
            with pytest.raises(JoinRefused) as caught:
                await target.join("r", "s2", "speaker", crowd.client("s2", "speaker"))
            assert caught.value.limit == "max_speakers"


async def test_a_running_daemon_is_used_and_left_running() -> None:
    async with Rostrum(settings=["limits.default_slots=2"]) as owner:
        attached = AttachedRostrum(owner.control, key=owner.key, pids=owner.pids())
        async with attached:
            heard = await converse(attached, speakers=1, listeners=1)
            assert heard.lost == 0
            assert attached.version == owner.version
            assert "udp_sent" not in await attached.counters()
        rooms = await owner.client.room_list()
        assert rooms.rooms == []
        wrong = AttachedRostrum(owner.control, key=Key("sfu-bench", b"guessed"))
        with pytest.raises(TargetError, match="rostrum at .*"):
            await wrong.start()
        await wrong.stop()


async def test_rostrum_that_cannot_start_is_quoted_and_leaves_nothing() -> None:
    target = Rostrum(settings=["media.listen=nowhere"])
    with pytest.raises(TargetError, match="rostrum did not start: .*media.listen"):
        await target.__aenter__()
    assert target.pids() == []


async def test_only_an_answer_of_200_counts() -> None:
    async with Rostrum() as target:
        assert target.metrics_url is not None
        assert "rostrum_forwarded_total" in await http_get(target.metrics_url)
        with pytest.raises(TargetError, match="404"):
            await http_get(target.metrics_url + "-not")


# Janus


@needs.janus
@pytest.mark.parametrize("is_ipv6", [False, True])
async def test_janus_is_started_heard_and_stopped(is_ipv6: bool) -> None:
    with joined_namespaces() as pair, inside(pair.load):
        address = pair.server_ipv6 if is_ipv6 else pair.server_ipv4
        async with Janus(Place(address, namespace=pair.server)) as target:
            [pid] = target.pids()
            assert target.version
            heard = await converse(target, speakers=2, listeners=3)
            counters = await target.counters()
            assert read_usage([pid]).threads > 1
        assert not is_there(pid)
    assert [len(tracks) for tracks in heard.heard] == [2, 2, 2]
    assert heard.lost == heard.auth_errors == 0
    assert heard.delays >= 60
    assert counters["notices_webrtcup"] == 5
    assert "forwarded" not in counters


@needs.janus
@pytest.mark.parametrize("kind", [AudioBridge, StreamedMix])
async def test_a_mix_of_janus_is_one_track_whoever_speaks(kind: type[AudioBridge]) -> None:
    with joined_namespaces() as pair, inside(pair.load):
        async with kind(Place(pair.server_ipv4, namespace=pair.server)) as target:
            heard = await converse(target, speakers=2, listeners=3, tracks=1)
            counters = await target.counters()
    assert [len(tracks) for tracks in heard.heard] == [1, 1, 1]
    assert heard.lost == heard.auth_errors == 0
    assert counters["notices_webrtcup"] == 5


@needs.janus
async def test_janus_tells_whom_it_refuses_and_why() -> None:
    with joined_namespaces() as pair, inside(pair.load):
        async with Janus(Place(pair.server_ipv4, namespace=pair.server)) as target:
            await target.create_room("r", slots=3, speakers=1)
            with pytest.raises(TargetError, match="room r: .*exists"):
                await target.create_room("r", slots=3, speakers=1)
            with pytest.raises(JoinRefused, match="needs speakers"):
                await target.join("r", "l", "listener", Refuser())
            with pytest.raises(JoinRefused, match="janus: .*"):
                await target.join("r", "s", "speaker", Refuser())


async def test_janus_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="^janus is not installed: apt-get install janus$"):
        find_janus([tmp_path])
    program = tmp_path / "bin" / "janus"
    program.parent.mkdir()
    program.touch(mode=0o755)
    with pytest.raises(TargetError, match="^janus is installed without libjanus_videoroom.so"):
        find_janus([tmp_path])


@needs.janus
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
async def test_janus_on_loopback_is_refused_before_it_starts(address: str) -> None:
    target = Janus(Place(address))
    with pytest.raises(TargetError, match="refuses loopback"):
        await target.start()
    assert target.pids() == []


def test_janus_gets_one_loop_one_address_and_only_what_it_needs(tmp_path: Path) -> None:
    installed = Installed(
        Path("/x/janus"), (Path("/x/libjanus_videoroom.so"),), Path("/x/libunix.so")
    )
    api = write_config(tmp_path, installed, Place("198.18.0.1"), Settings())
    core = (tmp_path / "janus.jcfg").read_text()
    for line in (
        "event_loops = 1",
        "nice_debug = false",
        'ice_enforce_list = "198.18.0.1"',
        f'plugins_folder = "{tmp_path}/plugins"',
        "ipv6 = false",
    ):
        assert f"\t{line}\n" in core
    assert "stun" not in core
    assert [path.name for path in (tmp_path / "plugins").iterdir()] == ["libjanus_videoroom.so"]
    assert "string_ids = true" in (tmp_path / "janus.plugin.videoroom.jcfg").read_text()
    assert f'path = "{api}"' in (tmp_path / "janus.transport.pfunix.jcfg").read_text()


def test_the_default_of_janus_itself_can_be_asked_for(tmp_path: Path) -> None:
    installed = Installed(
        Path("/x/janus"), (Path("/x/libjanus_videoroom.so"),), Path("/x/libunix.so")
    )
    write_config(tmp_path, installed, Place("2001:2::1"), Settings(event_loops=0))
    core = (tmp_path / "janus.jcfg").read_text()
    assert "event_loops" not in core
    assert "\tipv6 = true\n" in core
