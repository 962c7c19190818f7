"""What virtual clients survive: wrong keys, garbage, full buffers, misuse."""

from __future__ import annotations

import gc
import itertools
import os
import random
import select
import socket
import time
import weakref
from collections.abc import Iterator

import pytest
from pylibsrtp import Session

from sfu.fast import DTLS, RTCP, STUN, Swarm
from tests.fast.crowd import SSRC, Far, Hall, opened, timed
from tests.fast.peer import rtp, srtp_session


@pytest.fixture
def hall() -> Iterator[Hall]:
    """A swarm that decrypts everything."""
    with opened() as made:
        yield made


def test_wrong_and_missing_keys_are_counted(hall: Hall) -> None:
    """No track is opened for what does not authenticate; the right keys heal it."""
    far = hall.client(keys=False)
    far.send(1)
    hall.poll(1)
    far.give_keys(number=99)
    for number in range(2, 7):
        far.send(number)
    hall.poll(5)
    assert hall.counted() == {"no_keys": 1, "auth_errors": 5}
    heard = hall.swarm.listener(far.id)
    assert (heard.packets, heard.first_packet_ns, heard.tracks) == (0, 0, ())
    far.give_keys()
    far.send(7)
    hall.poll(1)
    assert hall.swarm.listener(far.id).packets == 1


def test_a_leap_is_believed_only_when_it_is_authentic() -> None:
    """Also where most packets are not decrypted: one forged packet makes no loss."""
    with opened(1_000) as hall:
        far = hall.client()
        for number in range(3):
            far.send(number)
        far.socket.send(rtp(70, 0, bytes(40), ssrc=SSRC))
        far.send(3)
        hall.poll(5)
        assert hall.counted("untimed") == {"received": 4, "decrypted": 1, "auth_errors": 1}


def await_stamps(hall: Hall, far: Far) -> None:
    """The kernel begins to stamp a moment after the first socket has asked for it; until then it
    gives the time of reading.
    """
    deadline = time.monotonic() + 5.0
    while True:
        assert time.monotonic() < deadline, "the kernel stamps nothing"
        far.socket.send(b"\x01")
        time.sleep(0.002)
        read_ns = time.time_ns()
        (aside,) = hall.poll(1)
        if aside.arrived_ns <= read_ns:
            return


def test_asides_are_handed_out_in_order(hall: Hall) -> None:
    """STUN, DTLS and RTCP as they came, also with media between them, also more than fit once."""
    far = hall.client()
    wanted = [
        (STUN, b"\x00\x01stun"),
        (DTLS, b"\x16dtls"),
        (RTCP, b"\x80\xc8rtcp"),
        (STUN, b"\x01"),
    ]
    await_stamps(hall, far)
    begun_ns = time.time_ns()
    for _, data in wanted:
        far.socket.send(data)
    far.send(1)
    read_ns = time.time_ns()
    asides = hall.poll(5)
    assert [(aside.client, aside.kind, aside.data) for aside in asides] == [
        (far.id, *entry) for entry in wanted
    ]
    assert all(begun_ns <= aside.arrived_ns <= read_ns for aside in asides)
    crowd = [hall.client(number) for number in range(2, 102)]
    ordered = [b"\x16" + number.to_bytes(2, "big") + bytes(1_000) for number in range(50)]
    for data, one in itertools.product(ordered, crowd):
        one.socket.send(data)
    by_client: dict[int, list[bytes]] = {}
    for aside in hall.poll(5_000):
        by_client.setdefault(aside.client, []).append(aside.data)
    assert by_client == {one.id: ordered for one in crowd}


def test_ten_thousand_garbage_datagrams(hall: Hall) -> None:
    """Noise, cut and bent media: everything is counted once, and the next packet is heard."""
    far = hall.client()
    chance = random.Random(7)
    whole = far.protected(1, extension=b"\xbe\xde\x00\x01\x10\x05\x00\x00", csrcs=[1, 2])
    for number in range(10_000):
        if number % 2:
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            far.socket.send(data[: chance.randrange(len(data) + 1)])
        else:
            far.socket.send(
                bytes([chance.randrange(256)]) + chance.randbytes(chance.randrange(1500))
            )
        if number % 50 == 49:
            hall.poll(50)
    # Some were bent back into shape: those are media, and the only ones decrypted.
    counted = hall.counted("decrypted", "untimed")
    assert counted.keys() >= {"malformed", "unknown", "auth_errors", "asides"}
    assert sum(counted.values()) == 10_000
    far.send(1_000, timed(time.time_ns()))
    hall.poll(1)
    assert sum(hall.swarm.take_delays()) == 1


def test_what_the_kernel_cuts_or_drops_is_counted(hall: Hall) -> None:
    """Datagrams longer than any of ours, and a receive buffer that was full."""
    far = hall.client(buffer_bytes=1)
    far.socket.send(b"\x80" + bytes(2_048))
    hall.poll(1)
    assert hall.counted() == {"truncated": 1}
    for number in range(100):
        far.send(number, bytes(800))
    hall.swarm.poll()
    far.send(100)
    hall.poll(1)
    totals = hall.swarm.totals()
    assert totals["socket_drops"] == 101 - totals["received"] > 50
    assert totals["lost"] == totals["socket_drops"]
    far.send(101)
    hall.poll(1)
    assert hall.swarm.totals()["socket_drops"] == totals["socket_drops"]  # told again, not new


def test_a_refused_datagram_is_no_end(hall: Hall) -> None:
    """The answer to what nobody received is counted; the client goes on with the next server."""
    far = hall.client()
    port = far.socket.getsockname()
    far.socket.close()
    far.near.send(b"anybody?")
    hall.swarm.poll()
    assert hall.counted() == {"receive_errors": 1}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(port)
        other.connect(far.near.getsockname())
        other.send(far.protected(1))
        hall.poll(1)
    assert hall.swarm.listener(far.id).packets == 1


def test_ids_are_used_again_and_begin_anew(hall: Hall) -> None:
    """What waits for the last owner of an id is not heard by the next one."""
    old = hall.client(1)
    old.send(1)
    hall.poll(1)
    old.send(2)
    hall.swarm.remove_client(old.id)
    assert hall.swarm.add_client(old.near.fileno()) == old.id  # the socket itself is free again
    hall.swarm.remove_client(old.id)
    new = hall.client(2)
    assert new.id == old.id
    new.send(9, ssrc=5)
    hall.poll(1)
    heard = hall.swarm.listener(new.id)
    assert (heard.packets, heard.onset_count, heard.tracks[0].ssrc) == (1, 1, 5)
    assert hall.swarm.totals()["received"] == 2


def test_a_removed_client_leaves_no_keys(hall: Hall) -> None:
    """Sessions are kept alive while in use, and no longer; also when they are replaced."""
    far = hall.client(keys=False)
    kept: list[weakref.ref[Session]] = []
    for _ in range(2):
        sessions = [srtp_session(1, "down", protects=protects) for protects in (False, True)]
        kept += map(weakref.ref, sessions)
        hall.swarm.set_keys(far.id, *sessions)
        del sessions
        gc.collect()
        assert [session() is None for session in kept[-2:]] == [False, False]
    assert [session() is None for session in kept[:2]] == [True, True]
    far.send(1)
    hall.poll(1)
    assert hall.swarm.listener(far.id).packets == 1
    with pytest.raises(AttributeError):
        hall.swarm.set_keys(far.id, object(), object())
    hall.swarm.remove_client(far.id)
    assert [session() is None for session in kept] == [True] * 4


def test_clients_with_keys_are_read_in_their_turn() -> None:
    """Once an interval, in rounds spread over it; those without keys at each poll."""
    with opened(visit_every_ms=500) as hall:
        crowd = [hall.client(number) for number in range(32)]
        waiting = hall.client(99, keys=False)
        hall.swarm.poll()  # every round's first turn
        began = time.monotonic()
        rounds: list[float] = []
        for far in crowd:
            far.send(1)
        waiting.socket.send(b"\x00")
        while len(rounds) < 32:
            asides = hall.swarm.poll()
            assert time.monotonic() - began < 5
            if asides or not rounds:
                assert [aside.client for aside in asides] == [waiting.id]
                waiting.socket.send(b"\x00")
            read = hall.swarm.totals()["received"]
            rounds += [time.monotonic() - began] * (read - len(rounds))
        assert len(set(rounds)) > 3  # 16 of them unless this process is held up


def is_readable(far: Far) -> bool:
    """Whether something waits for this client."""
    return bool(select.select([far.near], [], [], 0)[0])


def test_one_poll_reads_a_bounded_amount(hall: Hall) -> None:
    """A flood does not keep the caller; the next call goes on, and no socket is forgotten."""
    crowd = [hall.client(number, keys=False) for number in range(300)]
    for far in crowd:
        for _ in range(230):
            far.socket.send(b"\xff")
    hall.swarm.poll()
    assert 0 <= hall.swarm.totals()["datagrams"] - 65_536 < 16
    waiting = [far for far in crowd if is_readable(far)]
    hall.swarm.remove_client(waiting.pop().id)
    hall.swarm.poll()
    assert len(waiting) > 10
    assert not any(is_readable(far) for far in waiting)
    totals = hall.swarm.totals()
    assert totals["unknown"] == totals["datagrams"] < 300 * 230
    assert hall.swarm.poll() == []


def test_the_caller_may_read_in_slices(hall: Hall) -> None:
    """So that what is due can be sent between them; all of it is read in the end."""
    crowd = [hall.client(number, keys=False) for number in range(20)]
    for far in crowd:
        for _ in range(20):
            far.socket.send(b"\xff")
    read = 0
    for _ in range(3):
        hall.swarm.poll(100)
        before, read = read, hall.swarm.totals()["datagrams"]
        assert 100 <= read - before < 100 + 16
    hall.poll(400 - read)
    for wrong in (0, -1, 65_537):
        with pytest.raises(ValueError, match="65536"):
            hall.swarm.poll(wrong)


def test_unknown_clients_and_a_closed_swarm_are_refused() -> None:
    """Misuse raises, and closing leaves no descriptor and no key behind."""
    before = os.listdir("/proc/self/fd")
    with opened() as hall:
        hall.client()
        for wrong in (-1, 1, 2**31 - 1):
            for call in (hall.swarm.remove_client, hall.swarm.listener, hall.swarm.hush):
                with pytest.raises(KeyError, match="no client"):
                    call(wrong)
        with pytest.raises(OSError, match="cannot watch"):
            hall.swarm.add_client(1_000_000)
        hall.swarm.close()
        hall.swarm.close()
        assert hall.counted() == {}
        assert hall.swarm.totals()["clients"] == 0
        for closed in (hall.swarm.poll, lambda: hall.swarm.tick(0), lambda: hall.swarm.listener(0)):
            with pytest.raises(ValueError, match="closed"):
                closed()
    assert os.listdir("/proc/self/fd") == before
    for decrypt_every in (0, -1, 1_001):
        with pytest.raises(ValueError, match="decrypt_every"):
            Swarm(decrypt_every)
    for visit_every_ms in (-1, 501):
        with pytest.raises(ValueError, match="visit_every_ms"):
            Swarm(visit_every_ms=visit_every_ms)
