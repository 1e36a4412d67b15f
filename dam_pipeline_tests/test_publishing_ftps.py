"""What is particular to FTP: TLS, its session on data connections, and what goes without it."""

import ftplib
import io
import ssl
from dataclasses import replace

import pytest

from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.publishing import Destination, open_transport, parse_destination, warning_of
from dam_pipeline.publishing.credentials import variable
from dam_pipeline.publishing.ftp import hash_in
from dam_pipeline.settings import load_settings


@pytest.fixture
def destination(ftps_server, dam_home) -> Destination:
    return parse_destination(ftps_server.own_folder()[0])


def logged_in(server, connection: ftplib.FTP) -> ftplib.FTP:
    """A connection of the standard library's own, as others would make it."""
    address = parse_destination(server.url)
    connection.connect(address.host, address.port, timeout=10)
    connection.login(address.user, server.variables[variable(address)])
    return connection


@pytest.mark.ftps
def test_this_server_demands_that_data_goes_on_with_the_session_of_the_login(ftps_server):
    certificate = ftps_server.variables["DAM_TLS_CA_FILE"]
    plain = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=certificate))
    with logged_in(ftps_server, plain) as connection:
        connection.prot_p()
        with pytest.raises(ftplib.error_perm, match="session reuse required"):
            connection.storbinary("STOR x", io.BytesIO(b"x"))


@pytest.mark.ftps
def test_this_server_names_an_address_for_data_that_leads_nowhere(ftp_server):
    with logged_in(ftp_server, ftplib.FTP()) as connection:
        assert "(192,0,2,1," in connection.sendcmd("PASV")


@pytest.mark.ftps
def test_this_server_refuses_a_login_without_tls(ftps_server):
    with pytest.raises(ftplib.error_perm, match="must use encryption"):
        logged_in(ftps_server, ftplib.FTP())


@pytest.mark.ftps
def test_a_certificate_that_nobody_vouches_for_is_refused(destination, monkeypatch):
    monkeypatch.delenv("DAM_TLS_CA_FILE")
    with pytest.raises(DeliveryFailed, match="certificate is not trusted") as failure:
        open_transport(destination, load_settings())
    assert failure.value.is_lasting


@pytest.mark.ftps
def test_a_certificate_of_another_name_is_refused(ftps_server, destination, monkeypatch):
    other = replace(destination, host="localhost")
    monkeypatch.setenv(variable(other), "any")
    with pytest.raises(DeliveryFailed, match="certificate is not trusted") as failure:
        open_transport(other, load_settings())
    assert failure.value.is_lasting


@pytest.mark.ftps
def test_a_file_without_certificates_is_named(destination, tmp_path, monkeypatch):
    (tmp_path / "ca.pem").write_text("nothing")
    monkeypatch.setenv("DAM_TLS_CA_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match=r"ca\.pem holds no certificates"):
        open_transport(destination, load_settings())


@pytest.mark.ftps
def test_a_wrong_password_is_refused_for_good_and_never_told(destination, monkeypatch):
    monkeypatch.setenv(variable(destination), "guess-7Qk2")
    with pytest.raises(DeliveryFailed, match="does not let us in") as failure:
        open_transport(destination, load_settings())
    assert failure.value.is_lasting
    assert "guess-7Qk2" not in str(failure.value)


@pytest.mark.parametrize("secret", ["guess\r\nDELE a", "guess\udc80"])
def test_a_password_that_cannot_be_sent_is_refused_and_never_told(dam_home, monkeypatch, secret):
    destination = Destination("ftps", "127.0.0.1", 1, "me")
    monkeypatch.setenv(variable(destination), secret)
    with pytest.raises(ConfigurationError, match="control signs") as failure:
        open_transport(destination, load_settings())
    assert "guess" not in repr(failure.value)
    assert failure.value.__cause__ is failure.value.__context__ is None


@pytest.mark.ftps
def test_plain_ftp_warns_and_ftps_does_not(ftp_server, dam_home):
    plain = parse_destination(ftp_server.own_folder()[0])
    transport = open_transport(plain, load_settings())
    transport.close()
    assert "readable to anyone" in transport.warning
    assert transport.warning == warning_of(plain)
    assert warning_of(replace(plain, scheme="ftps")) == ""


@pytest.mark.ftps
def test_a_folder_may_be_named_from_the_logins_own(ftps_server, destination, tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    own = destination.folder.rpartition("/")[2]
    transport = open_transport(replace(destination, folder=f"/~/{own}"), load_settings())
    transport.deliver(tmp_path / "source", "in/clip.mov", sha256, int)
    transport.close()
    assert (ftps_server.root / own / "in" / "clip.mov").read_bytes() == b"x"


def test_without_a_password_it_is_said_how_to_give_one(dam_home):
    with pytest.raises(ConfigurationError, match="DAM_PASSWORD_FTP_EXAMPLE_COM") as failure:
        open_transport(Destination("ftps", "ftp.example.com", user="me"), load_settings())
    assert "dam stock login ftps://me@ftp.example.com" in str(failure.value)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("250 " + "AB" * 32, "ab" * 32),  # XSHA256
        ("213 SHA-256 0-49 " + "0f" * 32 + " filename.ext", "0f" * 32),  # HASH
        ("213 SHA-1 0-49 " + "0f" * 20 + " filename.ext", None),
        ("", None),
    ],
)
def test_a_hash_is_found_in_what_servers_answer(answer, found):
    assert hash_in(answer) == found
