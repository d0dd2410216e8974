"""Certificates: the operator's own, and the one for development."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from stream_service.api import certificate
from stream_service.api.settings import ServerSettings
from stream_service.errors import StartupError

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "host_addresses", lambda: ["192.0.2.7"])


def test_a_development_certificate_is_for_this_machine_and_its_key_is_private(tmp_path: Path) -> None:
    settings = certificate.development(ServerSettings(), tmp_path / "new", NOW)
    assert settings.scheme == "https"
    certificate.check(settings)
    assert settings.tls_certificate is not None
    assert settings.tls_key is not None
    assert stat.S_IMODE(settings.tls_key.stat().st_mode) == 0o600
    made = x509.load_pem_x509_certificate(settings.tls_certificate.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "127.0.0.1", "::1", "192.0.2.7"} <= {str(name.value) for name in names}


def test_it_is_kept_until_it_ends_or_the_network_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(days: int) -> bytes:
        settings = certificate.development(ServerSettings(), tmp_path, NOW + timedelta(days=days))
        assert settings.tls_certificate is not None
        return settings.tls_certificate.read_bytes()

    first = made(0)
    assert made(82) == first
    second = made(84)
    assert second != first
    monkeypatch.setattr(certificate, "host_addresses", lambda: ["192.0.2.8"])
    assert made(84) != second
    (tmp_path / "certificate.pem").write_text("spoiled")
    assert ssl.PEM_cert_to_DER_cert(made(84).decode())


def test_a_certificate_that_cannot_serve_stops_the_start(tmp_path: Path) -> None:
    one = certificate.development(ServerSettings(), tmp_path / "one", NOW)
    other = certificate.development(ServerSettings(), tmp_path / "other", NOW)
    (tmp_path / "empty").touch()
    for wrong in (
        {"tls_key": other.tls_key},
        {"tls_key": tmp_path / "missing"},
        {"tls_certificate": tmp_path / "empty"},
    ):
        with pytest.raises(StartupError) as refused:
            certificate.check(one.model_copy(update=wrong))
        assert refused.value.field == "server.tls_certificate"


def test_certificate_and_key_belong_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="belong together"):
        ServerSettings(tls_key=tmp_path / "key.pem")
