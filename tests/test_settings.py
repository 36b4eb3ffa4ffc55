from ipaddress import ip_network
from pathlib import Path

import pytest

from settings import Settings, SettingsError

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "0123456789abcdef" * 2
ANOTHER = "fedcba9876543210" * 2
SERVING = {
    "TWILIO_ACCOUNT_SID": SID,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "SMSCONVO_PUBLIC_URL": "https://sms.example.org",
}


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("database_url", "sqlite:///smsconvo.db"),
        ("account_sid", ""),
        ("auth_tokens", ()),
        ("public_url", ""),
        ("listen", ("127.0.0.1", 8080)),
        ("questionnaires", Path("questionnaires")),
        ("people", Path("people.toml")),
        ("results_to", None),
    ],
)
def test_without_a_setting_there_is_its_default(field, default):
    assert getattr(Settings.from_env({}), field) == default
    assert getattr(Settings(), field) == default


PROXIES = (ip_network("127.0.0.1"), ip_network("fd00::/8"))
VALUES = [
    ("DATABASE_URL", "postgresql://me@host/smsconvo", "database_url", None),
    ("TWILIO_ACCOUNT_SID", SID, "account_sid", None),
    ("TWILIO_AUTH_TOKEN", TOKEN, "auth_tokens", (TOKEN,)),
    ("SMSCONVO_PUBLIC_URL", "https://sms.example.org", "public_url", None),
    ("SMSCONVO_LISTEN", "0.0.0.0:80", "listen", ("0.0.0.0", 80)),
    ("SMSCONVO_QUESTIONNAIRES", "/etc/asked", "questionnaires", Path("/etc/asked")),
    ("SMSCONVO_PEOPLE", "/etc/people.toml", "people", Path("/etc/people.toml")),
    ("SMSCONVO_CONSOLE_PROXIES", "127.0.0.1, fd00::/8", "console_proxies", PROXIES),
    ("SMSCONVO_METRICS_KEY", "a-key/of+24=characters!!", "metrics_key", None),
]


@pytest.mark.parametrize(("name", "value", "field", "meaning"), VALUES)
def test_a_setting_comes_from_its_variable(name, value, field, meaning):
    assert getattr(Settings.from_env({name: value}), field) == (meaning or value)


@pytest.mark.parametrize(("name", "value", "field", "meaning"), VALUES)
def test_a_setting_comes_from_the_file_that_is_named(tmp_path, name, value, field, meaning):
    path = tmp_path / "secret"
    path.write_text(f"{value}\n", "utf-8")
    assert getattr(Settings.from_env({f"{name}_FILE": str(path)}), field) == (meaning or value)


@pytest.mark.parametrize(("name", "value", "field", "meaning"), VALUES)
def test_a_setting_comes_from_a_credential(tmp_path, name, value, field, meaning):
    (tmp_path / name).write_text(f"{value}\n", "utf-8")
    settings = Settings.from_env({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert getattr(settings, field) == (meaning or value)


def test_the_variable_goes_before_the_file_and_the_file_before_the_credential(tmp_path):
    (tmp_path / "SMSCONVO_LISTEN").write_text("127.0.0.3:3", "utf-8")
    (tmp_path / "file").write_text("127.0.0.2:2", "utf-8")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Settings.from_env(environ).listen == ("127.0.0.3", 3)
    environ["SMSCONVO_LISTEN_FILE"] = str(tmp_path / "file")
    assert Settings.from_env(environ).listen == ("127.0.0.2", 2)
    environ["SMSCONVO_LISTEN"] = "127.0.0.1:1"
    assert Settings.from_env(environ).listen == ("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://sms.example.org/", "https://sms.example.org"),
        ("https://sms.example.org/texts/", "https://sms.example.org/texts"),
        ("https://sms.example.org/#rc=2", "https://sms.example.org"),
    ],
)
def test_the_public_url_is_what_twilio_signs(url, meaning):
    assert Settings.from_env({"SMSCONVO_PUBLIC_URL": url}).public_url == meaning


@pytest.mark.parametrize("address", ["[::1]:8080", "::1:8080"])
def test_it_can_listen_on_ipv6(address):
    assert Settings.from_env({"SMSCONVO_LISTEN": address}).listen == ("::1", 8080)


@pytest.mark.parametrize("value", [f"{TOKEN},{ANOTHER}", f" {TOKEN} , {ANOTHER}\n"])
def test_several_tokens_count_while_one_is_rotated(value):
    assert Settings.from_env({"TWILIO_AUTH_TOKEN": value}).auth_tokens == (TOKEN, ANOTHER)


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("TWILIO_ACCOUNT_SID", "AC123", "Copy it whole."),
        ("TWILIO_ACCOUNT_SID", SID.upper(), "Copy it whole."),
        ("TWILIO_ACCOUNT_SID", "SK" + SID[2:], "Copy it whole."),
        ("TWILIO_ACCOUNT_SID", SID + "\n", "Copy it whole."),
        ("TWILIO_AUTH_TOKEN", "short", "Copy it whole"),
        ("TWILIO_AUTH_TOKEN", TOKEN[1:], "Copy it whole"),
        ("TWILIO_AUTH_TOKEN", " " * 40, "Copy it whole"),
        ("TWILIO_AUTH_TOKEN", ",", "separate several with commas"),
        ("TWILIO_AUTH_TOKEN", f"{TOKEN},", "separate several with commas"),
        ("TWILIO_AUTH_TOKEN", f"{TOKEN},short", "separate several with commas"),
        ("SMSCONVO_PUBLIC_URL", "sms.example.org", "like https://sms.example.org."),
        ("SMSCONVO_PUBLIC_URL", "https://", "like https://sms.example.org."),
        ("SMSCONVO_PUBLIC_URL", "ftp://sms.example.org", "like https://sms.example.org."),
        ("SMSCONVO_PUBLIC_URL", "https://me:mine@sms.example.org", "like https://sms.example.org."),
        ("SMSCONVO_PUBLIC_URL", "http://[::1", "like https://sms.example.org."),
        ("SMSCONVO_WEBHOOK_SECRET", "short", "openssl rand -base64 32"),
        ("SMSCONVO_WEBHOOK_SECRET", "c21z" * 8, "openssl rand -base64 32"),
        ("SMSCONVO_WEBHOOK_SECRET", "whsec_" + "c21z" * 5, "openssl rand -base64 32"),
        ("SMSCONVO_WEBHOOK_SECRET", "whsec_" + "c21z" * 22, "openssl rand -base64 32"),
        ("SMSCONVO_WEBHOOK_SECRET", "whsec_" + "c21z" * 8 + "!", "openssl rand -base64 32"),
        ("SMSCONVO_WEBHOOK_SECRET", "whsec_" + "c21z" * 8 + ",", "separate several with commas"),
        ("SMSCONVO_ALLOW_PRIVATE_RECEIVERS", "yes", "Set it to 1, or leave it out."),
        ("SMSCONVO_CONSOLE_PROXIES", "proxy.example.org", "like 127.0.0.1"),
        ("SMSCONVO_CONSOLE_PROXIES", "127.0.0.1,", "like 127.0.0.1"),
        ("SMSCONVO_CONSOLE_PROXIES", "10.0.0.1/8", "like 127.0.0.1"),
        ("SMSCONVO_CONSOLE_PROXIES", "0.0.0.0/0", "like 127.0.0.1"),
        ("SMSCONVO_CONSOLE_PROXIES", "::/0", "like 127.0.0.1"),
        ("SMSCONVO_CONSOLE_USER_HEADER", "Remote-User", "SMSCONVO_CONSOLE_PROXIES is not"),
        ("SMSCONVO_CONSOLE_USER_HEADER", "Remote_User", "like Remote-User."),
        ("SMSCONVO_CONSOLE_USER_HEADER", "Remote-User:", "like Remote-User."),
        ("SMSCONVO_CONSOLE_USER_HEADER", "Cookie", "like Remote-User."),
        ("SMSCONVO_CONSOLE_USER_HEADER", "User-Agent", "like Remote-User."),
        ("SMSCONVO_CONSOLE_USER_HEADER", "X-Forwarded-For", "like Remote-User."),
        ("SMSCONVO_METRICS_KEY", "short,", "openssl rand -hex 32."),
        ("SMSCONVO_METRICS_KEY", "a key with blanks in the middle", "openssl rand -hex 32."),
        ("SMSCONVO_METRICS_KEY", "\u00e9" * 32, "openssl rand -hex 32."),
        ("SMSCONVO_METRICS_KEY", "k" * 32 + "\n", "openssl rand -hex 32."),
        ("SMSCONVO_METRICS_KEY", "k" * 201, "openssl rand -hex 32."),
        ("SMSCONVO_LISTEN", "", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "8080", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", ":8080", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "127.0.0.1:", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "127.0.0.1:0", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "127.0.0.1:65536", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "127.0.0.1:-1", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "127.0.0.1:http", "like 127.0.0.1:8080."),
        ("SMSCONVO_LISTEN", "sms.example.org:80", "like 127.0.0.1:8080."),
    ],
)
def test_a_bad_value_is_named_with_its_cure_and_not_shown(name, value, cure):
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({name: value})
    sentence = str(refused.value)
    assert sentence.startswith(f"{name} ")
    assert cure in sentence
    assert "mine" not in sentence and "short," not in sentence


@pytest.mark.parametrize("name", ["TWILIO_AUTH_TOKEN", "DATABASE_URL"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(SettingsError, match=f"^{name}: the file {tmp_path}/none cannot be read: "):
        Settings.from_env({f"{name}_FILE": f"{tmp_path}/none"})
    (tmp_path / "latin").write_bytes(b"\xff\xfe secret")
    with pytest.raises(SettingsError, match=f"^{name}: the file {tmp_path}/latin cannot be read: "):
        Settings.from_env({f"{name}_FILE": f"{tmp_path}/latin"})


def test_a_credential_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "TWILIO_AUTH_TOKEN").write_bytes(b"\xff\xfe secret")
    with pytest.raises(SettingsError, match="TWILIO_AUTH_TOKEN.* cannot be read: "):
        Settings.from_env({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_an_empty_file_is_an_empty_setting(tmp_path):
    (tmp_path / "empty").write_text("\n", "utf-8")
    settings = Settings.from_env({"TWILIO_AUTH_TOKEN_FILE": f"{tmp_path}/empty"})
    assert settings.auth_tokens == ()


@pytest.mark.parametrize("missing", SERVING)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_serving_needs_what_twilio_knows(missing, how):
    environ = SERVING | {missing: ""}
    if how == "absent":
        del environ[missing]
    with pytest.raises(SettingsError, match=rf"^{missing} is not set\. (Copy|Set) it "):
        Settings.from_env(environ).for_serving()


def test_serving_needs_nothing_else():
    settings = Settings.from_env(SERVING)
    assert settings.for_serving() is settings


def test_a_header_says_who_somebody_is_if_proxies_are_named():
    environ = {"SMSCONVO_CONSOLE_USER_HEADER": "Remote-User"}
    environ["SMSCONVO_CONSOLE_PROXIES"] = "127.0.0.1"
    assert Settings.from_env(environ).console_user_header == "Remote-User"
