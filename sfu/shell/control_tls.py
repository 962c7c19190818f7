"""The TLS context of the control server, from `[control.tls]`."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from sfu.shell.config import ConfigError, ControlTls
from sfu.shell.dtls_openssl import validity_of


def control_context(tls: ControlTls, folder: Path) -> ssl.SSLContext:
    """Read the files (relative ones are in `folder`); raises ConfigError that names the key.

    With `client_ca` a client may show a certificate, and then it must be one of that authority's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate, key = folder / tls.certificate, folder / tls.key
    _try("control.tls.certificate", certificate, certificate.read_bytes)
    _try("control.tls.key", key, key.read_bytes)

    def refuse() -> bytes:
        # Otherwise OpenSSL asks on the terminal, and nothing goes on until somebody answers.
        raise ConfigError(f"control.tls.key: {key}: is encrypted; give it without a passphrase")

    _try("control.tls.key", key, lambda: context.load_cert_chain(certificate, key, refuse))
    if tls.client_ca is not None:
        authority = folder / tls.client_ca
        context.verify_mode = ssl.CERT_OPTIONAL
        _try("control.tls.client_ca", authority, lambda: context.load_verify_locations(authority))
    return context


def control_validity(tls: ControlTls, folder: Path) -> tuple[float, float]:
    """From when until when the certificate is valid, in unix seconds; raises ConfigError."""
    path = folder / tls.certificate
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigError(f"control.tls.certificate: {path}: no usable PEM") from None
    return validity_of(certificate)


def _try(name: str, path: Path, read: Callable[[], object]) -> None:
    try:
        read()
    except ssl.SSLError as error:
        reason = error.reason or "no usable PEM, or key and certificate do not belong together"
        raise ConfigError(f"{name}: {path}: {reason}") from None
    except OSError as error:
        raise ConfigError(f"{name}: {path}: {error.strerror}") from None
    except ValueError as error:  # a name with a NUL in it
        raise ConfigError(f"{name}: {path}: {error}") from None
