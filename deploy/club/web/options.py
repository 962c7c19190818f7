"""What the club's command lines say, as Settings. Secrets are read from files, never from them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from deploy.club.connecting import OptionError, add_options, read_secret
from deploy.club.refusal import Refused
from deploy.club.settings import Door, Settings
from deploy.club.tokens import normalise_phone


@dataclass(frozen=True, slots=True)
class Appointed:
    """A number whose owner is a host of the club, and what they are called until they say so."""

    phone: str
    name: str


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; argparse exits with status 2 for a bad one."""
    parser = argparse.ArgumentParser(prog="deploy.club.web", description="The club's web server.")
    add_options(parser)
    _add_site_options(parser)
    _add_door_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="where the pages are served")
    parser.add_argument("--port", type=int, default=8080, help="the pages' port")
    return parser.parse_args(arguments)


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings. Raises OptionError."""
    doors = frozenset(Door(name) for name in options.door) if options.door else frozenset(Door)
    try:
        url = make_url(options.database)
        if options.database_password_file is not None:
            url = url.set(password=read_secret(options.database_password_file).decode())
        return Settings(
            database_url=url.render_as_string(hide_password=False),
            secret=read_secret(options.secret_file),
            base_url=options.base_url.rstrip("/"),
            doors=doors,
            invitations_each=options.invitations,
            name=options.name,
            code_gateway_url=options.code_gateway,
            code_gateway_key=_key_of(options.code_gateway_key_file),
            trusted_proxies=options.trusted_proxies,
        )
    except (ArgumentError, ValueError) as error:
        raise OptionError(str(error)) from None


def _key_of(path: Path | None) -> str:
    return "" if path is None else read_secret(path).decode()


def hosts_of(options: argparse.Namespace) -> tuple[Appointed, ...]:
    """Who is to be a host. Raises OptionError with the line that is none."""
    if options.hosts_file is None:
        return ()
    appointed = []
    for number, line in enumerate(read_secret(options.hosts_file).decode().splitlines(), 1):
        phone, _, name = line.strip().partition(" ")
        if not phone or phone.startswith("#"):
            continue
        try:
            appointed.append(Appointed(normalise_phone(phone), name.strip() or "Host"))
        except Refused as refused:
            raise OptionError(f"{options.hosts_file}, line {number}: {refused.text}") from None
    return tuple(appointed)


def _add_site_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        default="sqlite+aiosqlite:///club.sqlite",
        metavar="URL",
        help="postgresql+asyncpg://USER@HOST/NAME, or a file of SQLite (%(default)s)",
    )
    parser.add_argument(
        "--database-password-file", type=Path, metavar="FILE", help="a file with its password"
    )
    parser.add_argument(
        "--secret-file",
        type=Path,
        required=True,
        metavar="FILE",
        help="32 bytes or more that key what is stored of numbers; with another one nobody is "
        "known any more",
    )
    parser.add_argument(
        "--base-url", default="http://localhost:8080", metavar="URL", help="as browsers reach it"
    )
    parser.add_argument("--name", default="Rostrum Club", help="what the club is called")
    parser.add_argument(
        "--trusted-proxies", type=int, default=0, metavar="N", help="proxies in front of it"
    )
    parser.add_argument(
        "--hosts-file",
        type=Path,
        metavar="FILE",
        help="who are hosts of the club: in each line a telephone number and a name",
    )


def _add_door_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--door",
        action="append",
        choices=[door.value for door in Door],
        help="a way in; may be given twice, and both stand open by default",
    )
    parser.add_argument("--invitations", type=int, default=5, metavar="N", help="of each member")
    parser.add_argument(
        "--code-gateway",
        default="",
        metavar="URL",
        help="takes codes as JSON and sends them as text messages; without it they go to the log",
    )
    parser.add_argument(
        "--code-gateway-key-file", type=Path, metavar="FILE", help="a file with its bearer key"
    )
