import re
from dataclasses import fields

import click
import pytest
from conftest import HERE

from commands import cli
from settings import Settings
from storage import connect

README = (HERE / "README.md").read_text("utf-8")
SOURCE = (HERE / "settings.py").read_text("utf-8")
OPERATING = (HERE / "docs" / "operating.md").read_text("utf-8")


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_is_in_the_readme_and_has_help():
    for path, command in commands():
        assert f"| `{' '.join(path)}" in README or f", `{' '.join(path)}" in README, path
        assert command.help, path
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, (path, option.name)


def test_every_setting_is_in_the_readme():
    names = re.findall(r'read\(\s*"([A-Z_]+)"', SOURCE)
    options = {"results_to", "workers"}  # of `serve`
    assert len(names) == len({field.name for field in fields(Settings)} - options)
    for name in names:
        assert f"| `{name}` |" in README, name


@pytest.mark.parametrize("target", ["run", "test", "faults", "bench", "lint", "format", "help"])
def test_every_make_target_says_what_it_is_for(target):
    assert re.search(rf"^{target}:.*## \w", (HERE / "Makefile").read_text("utf-8"), re.M)


def test_links_between_the_documents_lead_somewhere():
    for page in [HERE / "README.md", *(HERE / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def read_as_systemd(block):
    """A line of an environment file is a value to its end, or a comment from its beginning."""
    lines = [line for line in block.splitlines() if line and line[0] not in "#;"]
    return dict(line.split("=", 1) for line in lines)


def test_the_settings_that_operators_are_told_are_taken():
    blocks = re.findall(r"^```sh\n((?:(?:[A-Z_]+=|#).*\n)+)```$", OPERATING, re.M)
    assert len(blocks) == 2
    told = {name: value for block in blocks for name, value in read_as_systemd(block).items()}
    told["TWILIO_ACCOUNT_SID"] = told["TWILIO_ACCOUNT_SID"].replace("…", 32 * "0")
    settings = Settings.from_env(told)
    assert settings.listen == ("10.0.0.11", 8080)
    with connect(settings.database_url) as database:
        assert database.engine.url.query["sslmode"] == "require"


def test_nobody_is_told_to_put_a_password_into_a_url():
    for page in [HERE / "README.md", *(HERE / "docs").glob("*.md")]:
        assert not re.search(r"://[^/\s@`]+:[^/\s@`]+@", page.read_text("utf-8")), page.name
