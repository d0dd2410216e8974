"""TLS: the operator's certificate, or one made for development, because a phone lends its camera to HTTPS only.

A development certificate is signed by itself: browsers warn once a device, then everything works as with a real one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stream_service.api.settings import ServerSettings
from stream_service.errors import StartupError

_LIFE = timedelta(days=90)
_RENEW = timedelta(days=7)


def check(settings: ServerSettings) -> None:
    """Raise StartupError for a certificate that cannot be read, or a key that is not its own."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key, password="")
    except OSError as error:  # ssl.SSLError is one
        raise StartupError(
            f"Cannot serve HTTPS with {settings.tls_certificate} and {settings.tls_key}: "
            f"{error.strerror or 'they are no certificate and its key'}.",
            field="server.tls_certificate",
            remedy="Name a PEM certificate chain and its unencrypted PEM key, readable by this user.",
        ) from None


def host_addresses() -> list[str]:
    """The addresses that this machine uses towards other networks, IPv4 first; empty without a network."""
    found = []
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as towards:
            towards.connect((elsewhere, 9))  # sends nothing: it only lets the system choose its own address
            found.append(str(towards.getsockname()[0]))
    return [address for address in found if not ip_address(address).is_loopback]


def development(settings: ServerSettings, folder: Path, now: datetime) -> ServerSettings:
    """``settings`` with a certificate of our own in ``folder``, made when there is none that still fits."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ["localhost", socket.gethostname(), "127.0.0.1", "::1", *host_addresses()]
    if not (key.is_file() and _fits(certificate, names, now)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(certificate, key, names, now)
    return settings.model_copy(update={"tls_certificate": certificate, "tls_key": key})


def _fits(path: Path, names: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = {str(name.value) for name in held}
    return certificate.not_valid_after_utc - _RENEW > now and covered >= set(names)


def _make(certificate: Path, key: Path, names: list[str], now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "OmniDrop Live development")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = private.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(plain)
    certificate.write_bytes(signed.public_bytes(encoding))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
