"""Passwords of destinations: from a variable of the environment or the system's keyring.

The only place that holds one; nobody keeps, logs or shows what `password` returns.
"""

import os
import re
from unicodedata import category

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.publishing import Destination

SERVICE = "dam_pipeline"
"""What the keyring knows us by."""


def variable(destination: Destination) -> str:
    """The variable that may hold the password: DAM_PASSWORD_FTP_EXAMPLE_COM for ftp.example.com."""
    return "DAM_PASSWORD_" + re.sub(r"[^A-Z0-9]", "_", destination.host.upper())


def account(destination: Destination) -> str:
    """What the keyring knows the destination by: its login, whatever the folder."""
    port = f":{destination.port}" if destination.port else ""
    return f"{destination.scheme}://{destination.user}@{destination.host}{port}"


def password(destination: Destination) -> str | None:
    """The password of a destination, from its variable or else the keyring; None without any."""
    import keyring
    from keyring.errors import KeyringError

    if found := os.environ.get(variable(destination)):
        return checked(found.strip("\r\n"))  # as secrets that are mounted as files end
    try:
        return keyring.get_password(SERVICE, account(destination))
    except KeyringError:  # none on this machine, or locked
        return None


def checked(text: str) -> str:
    """A password that can be sent; raises ConfigurationError, without it, for any other."""
    if any(category(sign) in ("Cc", "Cs") for sign in text):
        # Whatever failed to send it would have it in its own words.
        raise ConfigurationError("The password holds control signs, which no server takes.")
    return text


def is_in_environment(destination: Destination) -> bool:
    """Whether the variable of a destination holds a password, which wins over the keyring."""
    return bool(os.environ.get(variable(destination)))


def needed_password(destination: Destination) -> str:
    """The password; raises ConfigurationError, which says how to give it, where there is none."""
    found = password(destination)
    if found is None:
        raise ConfigurationError(
            f"No password is known for {account(destination)}. `dam stock login {destination.url}` "
            f"keeps it in the keyring, or set the variable {variable(destination)}."
        )
    return found


def keep_password(destination: Destination, text: str) -> None:
    """Keep a password in the keyring; raises ConfigurationError where the machine has none."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, account(destination), text)
    except KeyringError as error:
        raise ConfigurationError(
            f"The password cannot be kept: this machine has no open keyring "
            f"({type(error).__name__}). Set the variable {variable(destination)} instead, for whoever publishes."
        ) from error


def forget_password(destination: Destination) -> bool:
    """Delete a password from the keyring; False when it held none."""
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError

    try:
        keyring.delete_password(SERVICE, account(destination))
    except PasswordDeleteError:
        return False
    except KeyringError as error:
        raise ConfigurationError(
            f"This machine has no open keyring ({type(error).__name__}): nothing is kept to forget."
        ) from error
    return True
