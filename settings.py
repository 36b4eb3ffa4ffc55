"""The settings: what the environment says, each value checked.

`resources.py` opens what they name.
"""

import os
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from addresses import is_web_address

__version__ = "0.1.0"

Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """A setting, an argument, or what one names is missing or bad: one sentence with the cure."""


@dataclass(frozen=True)
class Settings:
    """What the environment says: each field but the last two is an environment variable."""

    database_url: str = "sqlite:///smsconvo.db"
    account_sid: str = ""
    auth_tokens: tuple[str, ...] = ()
    public_url: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 8080)
    questionnaires: Path = Path("questionnaires")
    people: Path = Path("people.toml")
    webhook_secrets: tuple[str, ...] = ()
    allow_private_receivers: bool = False
    console_proxies: tuple[Network, ...] = ()
    console_user_header: str = ""
    metrics_key: str = ""
    results_to: str | None = None  # only `serve --results-to` sets it,
    processes: int = 1  # and `serve --workers` this; the worker runs in each of them

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read what is set; SettingsError for a bad value. `for_serving` looks for missing ones."""
        read = partial(_read, environ)
        settings = cls(
            database_url=read("DATABASE_URL", cls.database_url),
            account_sid=_parse_account_sid(read("TWILIO_ACCOUNT_SID")),
            auth_tokens=_parse_auth_tokens(read("TWILIO_AUTH_TOKEN")),
            public_url=_parse_public_url(read("SMSCONVO_PUBLIC_URL")),
            listen=_parse_listen(read("SMSCONVO_LISTEN", "127.0.0.1:8080")),
            questionnaires=Path(read("SMSCONVO_QUESTIONNAIRES", "questionnaires")),
            people=Path(read("SMSCONVO_PEOPLE", "people.toml")),
            webhook_secrets=_parse_webhook_secrets(read("SMSCONVO_WEBHOOK_SECRET")),
            allow_private_receivers=_parse_allow_private(read("SMSCONVO_ALLOW_PRIVATE_RECEIVERS")),
            console_proxies=_parse_proxies(read("SMSCONVO_CONSOLE_PROXIES")),
            console_user_header=_parse_user_header(read("SMSCONVO_CONSOLE_USER_HEADER")),
            metrics_key=_parse_metrics_key(read("SMSCONVO_METRICS_KEY")),
        )
        if settings.console_user_header and not settings.console_proxies:
            raise SettingsError(
                "SMSCONVO_CONSOLE_USER_HEADER is set, and SMSCONVO_CONSOLE_PROXIES is not. Set that"
                " to the addresses of the proxies that may say who somebody is, like 127.0.0.1."
            )
        return settings

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def for_serving(self) -> "Settings":
        """These settings; a SettingsError names what `serve` needs and is not set."""
        if not self.account_sid:
            raise SettingsError("TWILIO_ACCOUNT_SID is not set. Copy it from the Twilio console.")
        if not self.auth_tokens:
            raise SettingsError("TWILIO_AUTH_TOKEN is not set. Copy it from the Twilio console.")
        if not self.public_url:
            raise SettingsError(
                "SMSCONVO_PUBLIC_URL is not set. Set it to the address that Twilio calls,"
                " like https://sms.example.org."
            )
        return self


def _read(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """The variable; else the file that NAME_FILE names; else the systemd credential NAME."""
    if name in environ:
        return environ[name]
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", os.devnull), name)
    path = environ.get(f"{name}_FILE") or (credential if credential.is_file() else None)
    if path is None:
        return default
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: the file {path} cannot be read: {error}.") from None


def _parse_account_sid(value: str) -> str:
    if value and not re.fullmatch(r"AC[0-9a-f]{32}", value):
        raise SettingsError("TWILIO_ACCOUNT_SID is not AC and 32 hex digits. Copy it whole.")
    return value


def _split_list(value: str) -> tuple[str, ...]:
    """The parts between commas: the old and the new secret, while one is rotated."""
    return tuple(part.strip() for part in value.split(",")) if value else ()


def _parse_auth_tokens(value: str) -> tuple[str, ...]:
    tokens = _split_list(value)
    if any(len(token) < 32 for token in tokens):
        raise SettingsError(
            "TWILIO_AUTH_TOKEN holds a token of fewer than 32 characters. Copy it whole;"
            " separate several with commas."
        )
    return tokens


def _parse_webhook_secrets(value: str) -> tuple[str, ...]:
    secrets = _split_list(value)
    for secret in secrets:
        try:
            key = b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise SettingsError(
                "SMSCONVO_WEBHOOK_SECRET is not whsec_ and 24 to 64 bytes in base64. Make one:"
                " echo whsec_$(openssl rand -base64 32); separate several with commas."
            )
    return secrets


def _parse_allow_private(value: str) -> bool:
    if value not in ("", "0", "1"):
        raise SettingsError(
            "SMSCONVO_ALLOW_PRIVATE_RECEIVERS is neither 1 nor 0. Set it to 1, or leave it out."
        )
    return value == "1"


def _parse_proxies(value: str) -> tuple[Network, ...]:
    try:
        networks = tuple(ip_network(part) for part in _split_list(value))
    except ValueError:
        networks = None
    if networks is None or any(network.prefixlen == 0 for network in networks):
        raise SettingsError(
            "SMSCONVO_CONSOLE_PROXIES is not a list of addresses or networks. Set it to those of"
            " your proxies, like 127.0.0.1; separate several with commas."
        )
    return networks


def _parse_user_header(value: str) -> str:
    """The name of a header that no browser sends by itself."""
    if value and (
        not re.fullmatch("[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)+", value)
        or re.match("(?i)accept-|sec-|if-|content-|user-agent|x-forwarded-for$", value)
    ):
        raise SettingsError(
            "SMSCONVO_CONSOLE_USER_HEADER is not the name of a header that only proxies set. Set"
            " it to one, like Remote-User."
        )
    return value


def _parse_metrics_key(value: str) -> str:
    if value and not re.fullmatch("[!-~]{24,200}", value):
        raise SettingsError(
            "SMSCONVO_METRICS_KEY is not 24 to 200 letters, digits and signs of ASCII. Make one:"
            " openssl rand -hex 32."
        )
    return value


def _parse_public_url(value: str) -> str:
    """The URL without a slash or a fragment at its end, neither of which Twilio signs."""
    if value and ("@" in value or not is_web_address(value)):
        raise SettingsError(
            "SMSCONVO_PUBLIC_URL is not a web address. Set it to what Twilio calls,"
            " like https://sms.example.org."
        )
    return urlsplit(value)._replace(query="", fragment="").geturl().rstrip("/")


def _parse_listen(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        if not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise SettingsError(
            "SMSCONVO_LISTEN is not IP-ADDRESS:PORT. Set it to one, like 127.0.0.1:8080."
        ) from None
    return str(address), int(port)
