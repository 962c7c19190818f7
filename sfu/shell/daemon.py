"""One daemon: a worker, its UDP port, the control server, the operators' HTTP, on one event loop.

Life: everything is opened and checked, then it is ready. The first SIGTERM or SIGINT makes it not
ready at once and asks backends to move their rooms; it ends when nobody is here any more, or when
`drain.deadline_s` is over, and then whoever is left is told to go. A second signal ends the process
on the spot. SIGHUP has it read its configuration again: keys, certificates
and the log level are taken over, and nobody is dropped who still has a key.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import structlog

from control.commands import AnyCommand
from control.events import EventBody
from control.server import Server, ServerLimits, UnsafeListenError
from sfu.shell.announce import compute_candidates
from sfu.shell.config import ConfigError, effective_config
from sfu.shell.cycle import Cycle
from sfu.shell.dtls_openssl import OpensslDtls
from sfu.shell.exposed import CONTROL, DTLS, expose_certificates, expose_media
from sfu.shell.journal import Journal
from sfu.shell.loading import Loaded
from sfu.shell.log import LineWriter, set_level
from sfu.shell.metrics import Metrics
from sfu.shell.mixing_thread import MixingThread
from sfu.shell.ops_http import OpsHttp
from sfu.shell.reload import changes_between, in_force
from sfu.shell.scrapes import Scrapes
from sfu.shell.service import from_environment
from sfu.shell.udp import ListenError, UdpPort, listen_error
from sfu.shell.vitals import Vitals
from sfu.worker.invariant import Breach
from sfu.worker.worker import Worker

# What an operator may count on after SIGTERM, beyond the time that is given to participants.
CLOSE_WITHIN_S = 1.0
# Of that, what sending away thousands may take; whoever is left then finds out by itself.
_SEND_AWAY_S = 0.4
# And what backends get to read their last events.
_CONTROL_CLOSE_S = 0.5
# How often it looks whether the last participant has left.
_EMPTY_LOOK_S = 0.05
_SEND_AWAY_LOOK_S = 0.005
# HMAC-SHA256 keys below 128 bits are within reach of guessing.
SECRET_BYTES_ADVISED = 16

_log = structlog.get_logger()


class Daemon:
    """Built from a configuration; `start`, then `run_until_signal`, then `stop`."""

    def __init__(
        self, loaded: Loaded, load: Callable[[], Loaded], version: str, writer: LineWriter
    ) -> None:
        """Opens the UDP port; raises ListenError or ConfigError, leaving nothing open.

        `load` reads the configuration anew, and raises ConfigError.
        """
        self._loaded = loaded
        self._load = load
        self._reloading: asyncio.Task[None] | None = None
        self._config = config = loaded.config
        self._writer = writer
        self._is_ready = False
        # That ends it, with the time that participants have.
        self._signals: asyncio.Queue[tuple[signal.Signals, float]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._port = UdpPort(config.media_endpoints)
        try:
            self._candidates = compute_candidates(config, self._port.endpoints)
        except Exception:
            self._port.close()
            raise
        self._mixing = self._mixing_thread() if config.media.mix else None
        settings = config.worker_settings(version)
        self._dtls = OpensslDtls()
        self._journal = Journal()
        epoch = secrets.token_hex(8)
        self._worker = Worker(
            settings,
            dtls=self._dtls,
            candidates=self._candidates,
            entropy=secrets.token_bytes,
            epoch=epoch,
            wall_at_zero=time.time() - time.monotonic(),
            started_at=time.monotonic(),
            on_bug=lambda error: self._cycle.note_bug("participant", error),
            on_breach=self._on_breach,
            mixing=self._mixing,
        )
        self._cycle = Cycle(self._worker, self._port, clock=time.monotonic, publish=self._publish)
        self._server = Server(
            self,
            epoch=epoch,
            node=settings.node,
            version=version,
            keys=loaded.keys,
            tls=loaded.tls,
            on_controlled=self._cycle.observe_controllers,
            limits=ServerLimits(
                replay_events=config.control.replay_events,
                replay_bytes=config.control.replay_bytes,
            ),
            log=_log.warning,
        )
        self._metrics = self._all_metrics(version)
        self._http = OpsHttp(
            metrics=Scrapes(self._metrics.parts).text,
            is_ready=lambda: self._is_ready and not self._worker.is_draining,
            effective=self.effective,
        )
        self._manager = from_environment()
        self._vitals = Vitals(
            on_lag=self._metrics.observe_lag,
            on_load=self._cycle.observe_load,
            on_gc_pause=self._metrics.observe_gc_pause,
            on_beat=self._manager.beat,
        )

    def submit(self, command: AnyCommand) -> Awaitable[Any]:
        """Run a backend's command; called by the control server in order of receipt."""
        return self._cycle.submit(command)

    def effective(self) -> dict[str, Any]:
        """The configuration in force and what clients are told, without secrets."""
        return effective_config(self._loaded.config, self._candidates)

    async def start(self) -> None:
        """Listen everywhere and become ready; raises ListenError."""
        try:
            try:
                control = await self._server.start(self._config.control.listen)
            except OSError as error:
                where = self._config.control.listen
                raise ListenError(listen_error("control.listen", where, error)) from None
            http = await self._http.serve(self._config.http_endpoint)
        except ListenError:
            await self._close()
            raise
        self._warn()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        if self._mixing is not None:
            self._mixing.start(self._loop, self._cycle.take_mixed)
        self._cycle.listen()
        self._vitals.start()
        self._is_ready = True
        self._manager.ready()
        _log.info(
            "listening",
            media=[str(endpoint) for endpoint in self._port.endpoints],
            control=str(control),
            http=str(http),
            candidates=[f"{one.host} {one.port}" for one in self._candidates],
        )

    async def run_until_signal(self) -> None:
        """Wait for SIGTERM or SIGINT, and then until nobody is here or the deadline has come."""
        number, deadline_s = await self._signals.get()
        _log.info("stopping", signal=number.name, deadline_s=deadline_s)
        self._cycle.begin_leaving(deadline_s)
        deadline = time.monotonic() + deadline_s
        while not self._worker.is_empty and time.monotonic() < deadline:
            await asyncio.sleep(min(_EMPTY_LOOK_S, deadline_s))

    async def stop(self) -> None:
        """Send away whoever is left and close everything, within `CLOSE_WITHIN_S`."""
        self._is_ready = False
        self._cycle.drain_participants()
        until = time.monotonic() + _SEND_AWAY_S
        while self._worker.has_rooms and time.monotonic() < until:
            await asyncio.sleep(_SEND_AWAY_LOOK_S)
        left_behind = self._worker.people
        await self._close()
        _log.info("stopped", left_behind=left_behind)

    async def _close(self) -> None:
        self._cycle.stop()
        if self._mixing is not None:
            self._mixing.stop()
        self._vitals.stop()
        await self._server.close(within_s=_CONTROL_CLOSE_S)
        await self._http.close()
        self._port.close()
        self._manager.close()

    def _publish(self, room: str | None, body: EventBody) -> None:
        self._server.publish(room, body)
        self._journal.note(room, body, self._cycle.request)

    def _on_breach(self, breach: Breach) -> None:
        joined_by = self._journal.joined_by(breach.room, breach.participant)
        _log.error("forwarding_breach", joined_by=joined_by, **breach._asdict())

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._is_ready:
            self._writer.close(0.05)
            os._exit(128 + number)
        self._is_ready = False
        deadline_s = self._loaded.config.drain.deadline_s
        self._manager.stopping(deadline_s + CLOSE_WITHIN_S)  # before a reload that waits its turn
        self._signals.put_nowait((signal.Signals(number), deadline_s))

    def _on_hangup(self) -> None:
        """Reload, after the one that is under way."""
        self._reloading = self._loop.create_task(self._reload(self._reloading))

    async def _reload(self, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait([previous])  # whatever became of it
        self._manager.reloading(time.monotonic())
        try:
            await self._take_over()
        finally:
            self._manager.ready()

    async def _take_over(self) -> None:
        """Read the configuration again; what cannot be used changes nothing."""
        try:
            # Files may be slow, and media goes on.
            loaded = await asyncio.to_thread(self._load)
            if (loaded.tls is None) is not (self._loaded.tls is None):
                raise ConfigError("control.tls: to begin or end using TLS takes a restart")
            self._server.replace_keys(loaded.keys)
        except (ConfigError, UnsafeListenError) as error:
            _log.error("not_reloaded", error=str(error))
            return
        if loaded.tls is not None:
            self._server.replace_tls(loaded.tls)
        set_level(loaded.config.log.level)
        changes = changes_between(self._loaded, loaded)
        self._loaded = in_force(self._loaded, loaded)
        _log.info("reloaded", **asdict(changes))

    def _warn(self) -> None:
        """What runs, but not as well as it should."""
        for buffer in self._port.buffers:
            if buffer.is_clamped:
                _log.warning(
                    "socket_buffer_clamped",
                    endpoint=str(buffer.endpoint),
                    asked_bytes=buffer.asked,
                    granted_bytes=buffer.granted,
                    fix=f"sysctl -w {buffer.sysctl}={buffer.asked}",
                )
        for key in self._config.control.keys:
            if key.secret is not None and len(key.secret.encode()) < SECRET_BYTES_ADVISED:
                _log.warning("short_secret", key=key.id, advised_bytes=SECRET_BYTES_ADVISED)

    def _all_metrics(self, version: str) -> Metrics:
        metrics = Metrics(version)
        metrics.add_counters("", self._counters)
        metrics.add_gauges("", self._worker.sizes)
        metrics.add_gauges("loop", lambda: {"tasks": len(asyncio.all_tasks(self._loop))})
        metrics.add_counters("udp", self._port.counters)
        metrics.add_gauges("udp", self._port.sizes)
        expose_media(metrics, self._worker, self._cycle)
        expose_certificates(metrics, self._certificates)
        if self._mixing is not None:
            self._mixing.add_to(metrics)
        metrics.add_counters("control", lambda: self._control_counters(is_open=False))
        metrics.add_gauges("control", lambda: self._control_counters(is_open=True))
        return metrics

    def _certificates(self) -> dict[str, tuple[float, float]]:
        """Their validity; the newest is that of the last reload."""
        control = self._loaded.tls_validity
        return {DTLS: self._dtls.validity} | ({} if control is None else {CONTROL: control})

    def _mixing_thread(self) -> MixingThread:
        """Raises ConfigError when there is nothing to mix with."""
        # numpy's algebra starts a thread for each core as soon as it is imported, and kills the
        # process by SIGINT where a service may not have so many. Mixing has one thread.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Here: a daemon that does not mix is 30 MB smaller without what these import.
        from sfu.mixing.mixer import Mixer
        from sfu.mixing.opus import OpusError, library

        try:
            library()
        except OpusError as error:
            self._port.close()
            raise ConfigError(f"media.mix: {error}") from None
        return MixingThread(
            lambda: Mixer(time.monotonic(), time.perf_counter),
            clock=time.monotonic,
            report=lambda error: _log.error("mixing_broke_off", exc_info=error),
        )

    def _control_counters(self, *, is_open: bool) -> dict[str, int]:
        """The server's counters, or what is open there now."""
        every = self._server.counters()
        return {name: n for name, n in every.items() if name.endswith("_open") is is_open}

    def _counters(self) -> dict[str, int]:
        """The worker's, and what only the shell sees; its bugs include the worker's."""
        own = {"bugs": self._cycle.bugs, "log_lines_dropped": self._writer.dropped}
        own["log_lines_suppressed"] = self._writer.suppressed
        return self._worker.counters() | own
