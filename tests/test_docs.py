import re
import subprocess
from dataclasses import fields

import click
import pytest
from conftest import HANG_SECONDS, HEAD, HERE, PROGRAM

from commands import cli
from models.questionnaire.answers import KINDS
from settings import Settings
from storage import connect
from storage.base import Base
from storage.versions import known_versions

README = (HERE / "README.md").read_text("utf-8")
SOURCE = (HERE / "settings.py").read_text("utf-8")
OPERATING = (HERE / "docs" / "operating.md").read_text("utf-8")
ARCHITECTURE = (HERE / "docs" / "architecture.md").read_text("utf-8")
PAGES = [*HERE.glob("*.md"), *(HERE / "docs").glob("*.md")]


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
    options = {"results_to", "processes"}  # of `serve`
    assert len(names) == len({field.name for field in fields(Settings)} - options)
    for name in names:
        assert f"| `{name}` |" in README, name


@pytest.mark.parametrize(
    "target", ["run", "test", "browser", "faults", "bench", "lint", "format", "help"]
)
def test_every_make_target_says_what_it_is_for(target):
    assert re.search(rf"^{target}:.*## \w", (HERE / "Makefile").read_text("utf-8"), re.M)


def test_links_between_the_documents_lead_somewhere():
    for page in PAGES:
        for link, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", page.read_text("utf-8")):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                assert anchor in anchors(target.read_text("utf-8")), f"{page.name}: {anchor}"


def anchors(page):
    """The headings, as GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(page):
    return re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)


def test_the_readme_links_every_page():
    for page in PAGES:
        name = page.relative_to(HERE).as_posix()
        assert name == "README.md" or f"]({name})" in README, name


def test_the_files_that_the_documents_name_are_there():
    for page in PAGES:
        for name in named_files(page.read_text("utf-8")):
            assert (HERE / name).exists(), f"{page.name}: {name}"


def named_files(page):
    """What stands in code and looks like a file of ours: below a folder, or with our endings."""
    for code in re.findall(r"`([^`]+)`", without_code(page)):
        for name in code.split():
            is_below = re.fullmatch(r"[A-Za-z][\w.]*(/[\w.]+)+/?|[a-z]+/", name)
            if is_below or re.fullmatch(r"[A-Za-z]\w*\.(py|md)", name):
                yield name


def map_of_files():
    """The rooms and the files of the map in docs/architecture.md, each with its whole path."""
    (tree,) = re.findall(r"^## Where things are\n\n```\n(.*?)^```$", ARCHITECTURE, re.M | re.S)
    rooms = [""]
    for line in filter(None, tree.splitlines()):
        indent, name = re.match(r"( *)(\S+)", line).groups()
        del rooms[len(indent) // 2 + 1 :]
        path = rooms[-1] + name
        if name.endswith("/"):
            rooms.append(path)
        yield path


def test_the_map_has_every_room_and_every_module():
    paths = {path for part in PROGRAM for path in [part, *part.rglob("*.py")]}
    files = {path.relative_to(HERE).as_posix() for path in paths if path.suffix == ".py"}
    rooms = {f"{file.rpartition('/')[0]}/" for file in files if "/" in file}
    rooms |= {f"{part.name}/" for part in PROGRAM if part.is_dir()}
    files = {file for file in files if not file.endswith("/__init__.py")}
    elsewhere = {f"models/questionnaire/answers/{name}.py" for name in KINDS}
    elsewhere |= {f"commands/{name}.py" for name in cli.commands}
    elsewhere |= {name for name in {*files, *rooms} if re.match("migrations/.", name)}
    mapped = list(map_of_files())
    assert set(mapped) ^ ((files | rooms) - elsewhere) == set()
    assert len(mapped) == len(set(mapped))


def test_operating_names_every_table_and_the_version_of_the_database():
    for table in Base.metadata.tables:
        assert re.search(rf"^\| `{table}` \|", OPERATING, re.M), table
    version = known_versions()[-1]
    assert f'"found": "{version}", "needed": "{version}"' in OPERATING


def test_every_event_of_the_log_is_explained():
    files = {path for part in PROGRAM for path in [part, *part.rglob("*.py")] if path.is_file()}
    for path in files:
        for event in re.findall(r'\blog_event\(\s*"(\w+)"', path.read_text("utf-8")):
            assert re.search(rf"^\| .*`{event}`.* \|", OPERATING, re.M), event


def read_as_systemd(block):
    """A line of an environment file is a value to its end, or a comment from its beginning."""
    lines = [line for line in block.splitlines() if line and line[0] not in "#;"]
    return dict(line.split("=", 1) for line in lines)


def test_the_version_in_the_example_of_healthz_is_the_newest():
    assert f'"migration": {{"ok": true, "found": "{HEAD}", "needed": "{HEAD}"}}' in OPERATING


def test_the_settings_that_operators_are_told_are_taken():
    blocks = re.findall(r"^```sh\n((?:(?:[A-Z_]+=|#).*\n)+)```$", OPERATING, re.M)
    assert len(blocks) == 2
    environ = {name: value for block in blocks for name, value in read_as_systemd(block).items()}
    environ["TWILIO_ACCOUNT_SID"] = environ["TWILIO_ACCOUNT_SID"].replace("…", 32 * "0")
    settings = Settings.from_env(environ)
    assert settings.listen == ("10.0.0.11", 8080)
    with connect(settings.database_url) as database:
        assert database.engine.url.query["sslmode"] == "require"


@pytest.mark.parametrize("quote", ["", '"', "'"])
def test_a_command_knows_the_public_url_from_the_file_that_root_alone_can_read(tmp_path, quote):
    (function,) = re.findall(r"^sm\(\) \{.*?\}$", OPERATING, re.M | re.S)
    environment, url = tmp_path / "environment", "https://sms.example.org"
    environment.write_text(f"TWILIO_ACCOUNT_SID=AC\nSMSCONVO_PUBLIC_URL={quote}{url}{quote}\n")
    sudo = 'sudo() { if [ "$1" = sed ]; then command "$@"; else printf "%s\\n" "$@"; fi; }'
    script = f"sed() {{ return 1; }}\n{sudo}\n{function}\nsm console"
    script = script.replace("/etc/smsconvo/environment", str(environment))
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert f"SMSCONVO_PUBLIC_URL={url}" in ran.stdout.splitlines(), ran.stderr


def test_nobody_is_told_to_put_a_password_into_a_url():
    for page in PAGES:
        assert not re.search(r"://[^/\s@`]+:[^/\s@`]+@", page.read_text("utf-8")), page.name
