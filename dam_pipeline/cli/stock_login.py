"""`dam stock login`: passwords of destinations go into the keyring, host keys into DAM_HOME."""

import getpass
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say
from dam_pipeline.errors import ConfigurationError, DeliveryFailed
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.publishing import Destination
    from dam_pipeline.settings import Settings

LOGINS = ("sftp", "ftps", "ftp")
FINGERPRINT = r"SHA256:[A-Za-z0-9+/]{43}"


@command
def run(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Where to, such as ftps://me@host/folder.")
    ],
    trust_host_key: Annotated[
        str,
        typer.Option(
            "--trust-host-key",
            metavar="SHA256:…",
            help="Trust the SSH server whose key has this fingerprint, instead of an earlier one.",
        ),
    ] = "",
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the password from the keyring instead.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Log in at a destination to try it, and keep its password in the keyring.

    The password is asked for without being shown, or read as a line of standard input; where keys
    let you in, none is asked for. DAM_PASSWORD_<HOST> wins over the keyring.

    Examples: dam stock login ftps://me@ftps.example.com · dam stock login sftp://me@host --forget
    """
    from dam_pipeline.publishing import parse_destination, warning_of
    from dam_pipeline.publishing.credentials import account, forget_password, variable

    destination = parse_destination(address)
    if destination.scheme not in LOGINS:
        raise ConfigurationError(
            f"{address} needs no password of ours: a folder has none, and S3 goes by AWS_ACCESS_KEY_ID "
            f"and AWS_SECRET_ACCESS_KEY or a profile. Use one of {', '.join(LOGINS)}."
        )
    if trust_host_key and not re.fullmatch(FINGERPRINT, trust_host_key):
        raise ConfigurationError(
            f"{trust_host_key} is no fingerprint. Write all of it, SHA256: and 43 signs, as the server's "
            "owner tells it."
        )
    if warning := warning_of(destination):
        say(f"warning: {warning}")
    if forget:
        kept_in = None
        done = "forgotten" if forget_password(destination) else "was not known"
    else:
        done, kept_in = "works", _log_in(load_settings(), destination, trust_host_key)
    if as_json:
        known = {"destination": account(destination), "variable": variable(destination)}
        print_json({**known, "login": done, "kept_in": kept_in})
    else:
        where = f" The password is kept in the {kept_in}." if kept_in else ""
        say(f"{account(destination)}: the login {done}.{where}")
    return Exit.OK


def _log_in(settings: "Settings", destination: "Destination", trusted: str) -> str | None:
    """Try the login, with a password asked for where one is needed; returns what keeps it."""
    from dam_pipeline.publishing.credentials import is_in_environment, keep_password

    is_given = is_in_environment(destination)
    if destination.scheme == "sftp" or is_given:
        try:
            _try(settings, destination, None, trusted)
        except DeliveryFailed as failure:
            if is_given or not failure.is_lasting:
                raise
        else:
            return "environment" if is_given else None
    password = _ask(destination)
    _try(settings, destination, password, "")
    say("The login works.")
    keep_password(destination, password)
    return "keyring"


def _try(
    settings: "Settings", destination: "Destination", password: str | None, trusted: str
) -> None:
    from dam_pipeline.publishing import ftp, sftp

    if destination.scheme == "sftp":
        transport = sftp.open_transport(destination, settings, password, trusted)
    else:
        transport = ftp.open_transport(destination, settings, password)
    transport.close()


def _ask(destination: "Destination") -> str:
    from dam_pipeline.publishing.credentials import account, checked

    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {account(destination)}: ", sys.stderr)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise ConfigurationError("No password was given, so nothing was kept.")
    return checked(password)
