"""A PostgreSQL of one test run: Debian's, in a temporary folder, on a socket file and no port.

It refuses to run as root; then it runs as Debian's user `postgres`, or as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGSTOP

import pytest

USER = "club"
# initdb, and a start that recovers, on a busy machine.
_WITHIN_S = 30.0
_ASK_EVERY_S = 0.05


def _folder() -> Path | None:
    """Where the server's programs are: the newest that Debian has, or those in PATH."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: int(it.parts[-2]))
    found = [*packaged[-1:], *(Path(it).parent for it in [shutil.which("postgres")] if it)]
    return found[0] if found else None


def _as_somebody() -> tuple[list[str], pwd.struct_passwd | None]:
    """What to put before a command so that it does not run as root, and who that is."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            who = pwd.getpwnam(name)
        except KeyError:
            continue
        ids = [f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}"]
        return ["setpriv", *ids, "--clear-groups"], who
    pytest.skip("nobody to run PostgreSQL as")


class Postgres:
    """One server. `stop` and `start` may be called again and again; the data stays."""

    def __init__(self, folder: Path, programs: Path, prefix: list[str]) -> None:
        self._folder = folder
        self._programs = programs
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @property
    def is_running(self) -> bool:
        """Between `start` and `stop`."""
        return self._process is not None

    def url(self, database: str) -> str:
        """As settings want it."""
        return f"postgresql+asyncpg://{USER}@/{database}?host={self._folder}"

    def new_database(self, template: str = "template0") -> str:
        """The name of a fresh database, a copy of `template`."""
        self._databases += 1
        name = f"club_{self._databases}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def disconnect(self, database: str) -> None:
        """End everybody's connections to `database`."""
        self.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
        )

    def run(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; what psql prints."""
        return self._call(
            "psql", "-XqtA", "-v", "ON_ERROR_STOP=1", "-U", USER,
            "-h", str(self._folder), "-d", database, "-c", statement,
        )  # fmt: skip

    def create(self) -> None:
        """Make the data folder."""
        data = str(self._folder / "data")
        who = ["-A", "trust", "-U", USER]
        self._call("initdb", "-D", data, *who, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def start(self) -> None:
        """Begin to serve, and wait until it does."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "fsync": "off",  # the data lives as long as the test run
            "max_connections": "100",
        }
        command = [
            *self._prefix,
            str(self._programs / "postgres"),
            "-D",
            str(self._folder / "data"),
        ]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        until = time.monotonic() + _WITHIN_S
        ready = [str(self._programs / "pg_isready"), "-q", "-U", USER, "-h", str(self._folder)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(_ASK_EVERY_S)

    def stop(self) -> None:
        """End all connections and the server, as its restart would."""
        if self._process is not None:
            self._process.send_signal(SIGINT)
            self._process.wait(_WITHIN_S)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server keeps its connections and says nothing, like one behind a broken line."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        pids = [pid, *map(int, children)]
        for one in pids:
            os.kill(one, SIGSTOP)
        try:
            yield
        finally:
            for one in pids:
                os.kill(one, SIGCONT)

    def _call(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [*self._prefix, str(self._programs / program), *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}")
        return done.stdout.strip()


@contextmanager
def running() -> Iterator[Postgres]:
    """A server with nothing in it; the test skips where PostgreSQL is not installed."""
    programs = _folder()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    prefix, who = _as_somebody()
    # Not below pytest's folder, which only its owner may enter; and socket paths must be short.
    with tempfile.TemporaryDirectory(prefix="club-pg-", ignore_cleanup_errors=True) as name:
        if who is not None:
            os.chown(name, who.pw_uid, who.pw_gid)
        server = Postgres(Path(name), programs, prefix)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
