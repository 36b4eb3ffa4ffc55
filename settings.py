"""The settings: what the environment says."""

import os
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from addresses import is_web_address

__version__ = "0.1.0"


class SettingsError(ValueError):
    """A setting is missing or bad: one sentence that names it and the cure."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; each field but the last two is one variable."""

    database_url: str = "sqlite:///smsconvo.db"
    account_sid: str = ""
    auth_tokens: tuple[str, ...] = ()
    public_url: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 8080)
    questionnaires: Path = Path("questionnaires")
    people: Path = Path("people.toml")
    webhook_secrets: tuple[str, ...] = ()
    allow_private_receivers: bool = False
    results_to: str | None = None  # only `serve --results-to` sets it,
    workers: int = 1  # and `serve --workers` this

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read what is set; SettingsError for what is wrong. `for_serving` says what is missing."""
        read = partial(_variable, environ)
        return cls(
            database_url=read("DATABASE_URL", cls.database_url),
            account_sid=_account_sid(read("TWILIO_ACCOUNT_SID")),
            auth_tokens=_auth_tokens(read("TWILIO_AUTH_TOKEN")),
            public_url=_public_url(read("SMSCONVO_PUBLIC_URL")),
            listen=_listen(read("SMSCONVO_LISTEN", "127.0.0.1:8080")),
            questionnaires=Path(read("SMSCONVO_QUESTIONNAIRES", "questionnaires")),
            people=Path(read("SMSCONVO_PEOPLE", "people.toml")),
            webhook_secrets=_webhook_secrets(read("SMSCONVO_WEBHOOK_SECRET")),
            allow_private_receivers=_allow_private(read("SMSCONVO_ALLOW_PRIVATE_RECEIVERS")),
        )

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def for_serving(self) -> "Settings":
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


def _variable(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """The variable; else the file that NAME_FILE names; else systemd's credential of that name."""
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


def _account_sid(value: str) -> str:
    if value and not re.fullmatch(r"AC[0-9a-f]{32}", value):
        raise SettingsError("TWILIO_ACCOUNT_SID is not AC and 32 hex digits. Copy it whole.")
    return value


def _several(value: str) -> tuple[str, ...]:
    """While a secret is rotated, the old one and the new one, separated by commas."""
    return tuple(one.strip() for one in value.split(",")) if value else ()


def _auth_tokens(value: str) -> tuple[str, ...]:
    tokens = _several(value)
    if any(len(token) < 32 for token in tokens):
        raise SettingsError(
            "TWILIO_AUTH_TOKEN holds a token of fewer than 32 characters. Copy it whole;"
            " separate several with commas."
        )
    return tokens


def _webhook_secrets(value: str) -> tuple[str, ...]:
    secrets = _several(value)
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


def _allow_private(value: str) -> bool:
    if value not in ("", "0", "1"):
        raise SettingsError(
            "SMSCONVO_ALLOW_PRIVATE_RECEIVERS is neither 1 nor 0. Set it to 1, or leave it out."
        )
    return value == "1"


def _public_url(value: str) -> str:
    """Without the slash and the fragment at its end, neither of which Twilio signs for us."""
    if value and ("@" in value or not is_web_address(value)):
        raise SettingsError(
            "SMSCONVO_PUBLIC_URL is not a web address. Set it to what Twilio calls,"
            " like https://sms.example.org."
        )
    return urlsplit(value)._replace(query="", fragment="").geturl().rstrip("/")


def _listen(value: str) -> tuple[str, int]:
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
