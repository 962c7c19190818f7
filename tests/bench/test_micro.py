"""The micro benchmark measures what it says, and tells by its exit status how it went."""

from __future__ import annotations

import json
import shutil

import pytest

from bench import floor, micro

QUICK = ["--listeners", "20", "--seconds", "0.05", "--batch", "7"]
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="this machine has no C compiler"
)


@needs_compiler
def test_reports_both_sides_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    """As one JSON object; every cost is a cost, and the parts are less than the whole."""
    assert micro.main([*QUICK, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["listeners"] == 20
    assert report["ratio"] > 0
    assert 0 < report["ours_without_send_us"] < report["ours_us"]
    assert 0 < report["floor_cipher_us"] < report["floor_us"]
    assert all(cost > 0 for cost in report["ours_by_batch_us"].values())
    assert report["ingress_us"]["inaudible"] < report["ingress_us"]["unselected"]


@needs_compiler
def test_a_missed_requirement_is_exit_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is a hundred times as fast as the floor."""
    assert micro.main([*QUICK, "--require", "100"]) == 1
    assert "below" in capsys.readouterr().err


def test_without_a_compiler_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit status 2."""
    monkeypatch.setattr("bench.floor.shutil.which", lambda _: None)
    assert micro.main(QUICK) == 2
    assert "no C compiler" in capsys.readouterr().err


@needs_compiler
def test_without_a_libcrypto_it_says_which_ones_it_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And why each of them would not do."""
    monkeypatch.setattr(floor, "_candidates", lambda: iter(["libno-such-thing.so", "libc.so.6"]))
    assert micro.main(QUICK) == 2
    complaint = capsys.readouterr().err
    assert "libno-such-thing.so" in complaint
    assert "EVP_CIPHER_CTX_new: not in this libcrypto" in complaint
