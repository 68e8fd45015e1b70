"""What holds the project together: its own packages, its lock, its documents and its version."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest
import typer
import yaml

import fermloop
from controller.plant import load_plant
from fermloop.cli import app
from fermloop.commands.report import KEYS

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
DOCUMENTS = ("README.md", "README.zh.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def tracked() -> list[Path]:
    """Return what is in the repository, or would be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\n") if name and (ROOT / name).is_file()]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# Packages and versions


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_ours_and_not_a_stranger_of_the_same_name(name: str) -> None:
    file = import_module(name).__file__
    assert file == str(ROOT / name / "__init__.py")


def test_the_layers_are_the_packages() -> None:
    layers = PROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    assert named == {*PACKAGES} == {*PROJECT["tool"]["importlinter"]["root_packages"]}


def test_what_is_promised_can_be_imported() -> None:
    assert dir(fermloop) == sorted(fermloop.__all__)
    missing = [name for name in fermloop.__all__ if getattr(fermloop, name, None) is None]
    assert missing == []


def test_the_version_is_the_same_everywhere() -> None:
    declared = PROJECT["project"]["version"]
    assert version("fermloop") == declared
    assert f"image: fermloop:{declared}" in text("compose.yaml")
    heading = rf"^## \[({re.escape(declared)}|Unreleased)\]"
    assert re.search(heading, text("CHANGELOG.md"), flags=re.MULTILINE)


# The lock


def locked() -> Iterator[tuple[str, str]]:
    """Return name and entry of each requirement."""
    for entry in re.split(r"\n(?=[a-z0-9])", LOCK):
        if found := re.match(r"([a-z0-9._-]+)==", entry):
            yield found[1], entry


def test_every_requirement_is_locked_with_a_hash() -> None:
    entries = dict(locked())
    assert len(entries) > 50
    unhashed = [name for name, entry in entries.items() if "--hash=sha256:" not in entry]
    assert unhashed == []
    loose = re.findall(r"^(?!#|\s)(?![a-z0-9._-]+==[^ ]+ \\$)(.+)$", LOCK, flags=re.MULTILINE)
    assert loose == []


def test_the_lock_covers_what_the_project_asks_for_and_no_address() -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    wanted += PROJECT["project"]["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=\[ ]", requirement)[0].lower() for requirement in wanted}
    assert names - dict(locked()).keys() == set()
    entries = "\n".join(line for line in LOCK.split("\n") if not line.lstrip().startswith("#"))
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", entries)


def test_every_dependency_s_licence_is_known_to_us() -> None:
    """A new dependency is a decision: it is looked up, then its name goes here."""
    direct = {re.split(r"[<>=\[ ]", d)[0] for d in PROJECT["project"]["dependencies"]}
    assert direct == {
        "argon2-cffi",  # MIT; its C code is CC0-1.0 or Apache-2.0
        "asyncua",  # LGPL-3.0-or-later, used as a library
        "casadi",  # LGPL-3.0-or-later, used as a library
        "cryptography",
        "fastapi",
        "grafanalib",
        "httpx",
        "influxdb-client",
        "numpy",
        "pyarrow",
        "pydantic",
        "pymodbus",
        "pyserial",
        "pyyaml",  # MIT
        "rich",
        "scipy",
        "simple-pid",
        "typer",
        "uvicorn",
        "xlsxwriter",  # BSD-2-Clause
    }


def test_no_file_names_a_package_registry() -> None:
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "proxy.golang" + ".org"]
    hosts += ["index" + "-url", "crates" + ".io"]
    found: list[str] = []
    for path in tracked():
        content = path.read_bytes().lower()
        found += [f"{path.relative_to(ROOT)}: {h}" for h in hosts if h.encode() in content]
    allowed = {
        "Makefile: index-url",
        "requirements.lock: index-url",
    }  # the switch that leaves it out
    ours = str(Path(__file__).relative_to(ROOT))
    assert [one for one in found if one not in allowed and not one.startswith(ours)] == []


def test_no_secret_and_no_database_is_kept() -> None:
    suspicious = re.compile(r"\.(sqlite|db|pem|key|p12|pfx)$|(^|/)\.env")
    kept = [str(p.relative_to(ROOT)) for p in tracked() if suspicious.search(str(p))]
    assert kept == []


# Documents


def links(document: str) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", text(document))
    return [link.partition("#")[0] for link in found if not link.startswith(("http", "#"))]


@pytest.mark.parametrize("document", [*DOCUMENTS, *(f"{name}/README.md" for name in PACKAGES)])
def test_a_document_leads_only_to_files_that_are_there(document: str) -> None:
    folder = (ROOT / document).parent
    assert [link for link in links(document) if not (folder / link).exists()] == []


def test_each_room_has_a_readme_that_opens_with_a_paragraph() -> None:
    for name in PACKAGES:
        blocks = [b.strip() for b in text(f"{name}/README.md").split("\n\n") if b.strip()]
        assert blocks[0].startswith("# "), name
        assert len(blocks[1].split()) > 20, name
        assert not blocks[1].startswith(("#", "|", "```", "* ", "- ")), name


def test_the_picture_is_a_picture() -> None:
    root = ElementTree.parse(ROOT / "dashboards/overview.svg").getroot()
    assert root.tag.endswith("svg")
    assert "dashboards/overview.svg" in links("README.md")
    assert "http" not in text("dashboards/overview.svg").replace("http://www.w3.org/2000/svg", "")


def commands(document: str) -> list[list[str]]:
    """Return each command line of ours that a document shows, in words."""
    shown = re.findall(r"`((?:\.venv/bin/)?fermloop [a-z][^`]*)`", text(document))
    fenced = re.findall(r"```(?:bash|sh|console)?\n(.*?)```", text(document), flags=re.DOTALL)
    lines = [line for block in fenced for line in block.split("\n")]
    shown += [line for line in lines if re.match(r"(\.venv/bin/)?fermloop ", line)]
    return [shlex.split(line.partition("  #")[0])[1:] for line in shown]


SHOWN = [
    (document, words)
    for document in ("README.md", "README.zh.md", "fermloop/README.md", "dashboards/README.md")
    for words in commands(document)
]


@pytest.mark.parametrize(("document", "words"), SHOWN, ids=lambda x: " ".join(x)[:40])
def test_the_program_takes_what_the_documents_show(document: str, words: list[str]) -> None:
    plant, recipe = str(ROOT / "sim/plants/ecoli_5l.toml"), str(ROOT / "sim/recipes/ecoli.toml")
    real = [{"plant.toml": plant, "recipe.toml": recipe}.get(word, word) for word in words]
    group = cast(Any, typer.main.get_command(app))
    context = group.make_context("fermloop", real)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    if rest:  # a name alone stands for the command as such
        command.make_context(name, rest, parent=context)


def test_the_readme_shows_every_command() -> None:
    commands = cast(Any, typer.main.get_command(app)).commands
    known = {name for name, command in commands.items() if not hasattr(command, "commands")}
    shown = {words[0] for document, words in SHOWN if document == "README.md"}
    assert known <= shown <= set(commands)


def test_the_readme_s_first_screen_is_short() -> None:
    first = text("README.md").partition("\n## ")[0]
    assert len(first.split("\n")) < 20
    targets = re.findall(r"^make ([a-z-]+)", first, flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    makefile = text("Makefile")
    for target in [*targets, *re.findall(r"`make ([a-z-]+)`", text("README.md"))]:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_report_s_keys_are_those_of_the_program() -> None:
    table = text("README.md").partition("## The report")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| (.+?) \|", table, flags=re.MULTILINE))
    keys = {key for cell in named for key in re.findall(r"`([^`]+)`", cell)}
    known = {key.name.replace("*", "NAME") for key in KEYS} | {"estimated"}
    assert keys - known == set()
    assert {"product_g", "yield_product_per_substrate_g_per_g", "loops.NAME.in_band"} < keys
    assert {"energy_kwh", "co2e_per_product_kg_per_kg", "interlock_trips"} < keys
    room = text("fermloop/README.md")
    assert [key.name for key in KEYS if f"`{key.name}`" not in room] == []


def test_what_the_readme_shows_of_a_file_has_the_file_s_keys() -> None:
    """Its numbers may be rounder; a key that is gone from the examples must go there too."""
    plant = tomllib.loads(text("sim/plants/ecoli_5l.toml"))
    load_plant(ROOT / "sim/plants/ecoli_5l.toml")
    recipe = tomllib.loads(text("sim/recipes/ecoli.toml"))
    blocks = re.findall(r"```toml\n(.*?)```", text("README.md"), flags=re.DOTALL)
    shown_plant, shown_recipe = (tomllib.loads(block) for block in blocks)
    tags = {tag["name"]: tag for tag in plant["device"]["R1-io"]["tags"]}
    for tag in shown_plant["device"]["R1-io"].pop("tags"):
        assert tags[tag["name"]] == tag
    phases = {phase["name"]: phase for phase in recipe["phase"]}
    for phase in shown_recipe["phase"]:
        assert set(keys_of(phase)) <= set(keys_of(phases[phase["name"]]))
    assert set(keys_of(shown_plant)) <= set(keys_of(plant))


def keys_of(table: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, value in table.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from keys_of(cast(dict[str, Any], value), f"{path}{key}.")


# The public CI


def test_make_test_leaves_out_only_what_pytest_by_hand_leaves_out() -> None:
    normal = re.search(r"^NORMAL := (.+)$", text("Makefile"), flags=re.MULTILINE)
    assert normal
    assert f"-m '{normal[1]}'" in PROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    runs = re.findall(r'pytest .*-m "\$\(NORMAL\) and (.+)"', text("Makefile"))
    assert sorted(runs) == ["not real_time", "real_time"]


def test_the_public_ci_runs_make_test_on_the_oldest_and_a_newer_python() -> None:
    jobs = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    assert jobs["test"]["steps"][-1]["run"] == "make test"
    assert jobs["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert jobs["test"]["strategy"]["matrix"]["python"][0] == oldest
    audited = [step["run"] for step in jobs["audit"]["steps"] if "run" in step]
    assert any(
        "pip-audit --require-hashes" in run and "requirements.lock" in run for run in audited
    )
    assert "make test" in text(".ci/run")


def test_the_public_ci_may_only_read_and_pins_what_it_uses() -> None:
    workflow = yaml.safe_load(text(".github/workflows/ci.yml"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 40
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            if "uses" in step:
                assert step["with"]["persist-credentials"] is False


def test_nothing_but_the_standard_library_is_needed_to_say_that_python_is_too_old() -> None:
    check = re.search(
        r"-c '(import sys; .*fermloop needs.*)'$", text("Makefile"), flags=re.MULTILINE
    )
    assert check
    assert subprocess.run([sys.executable, "-c", check[1]], check=False).returncode == 0
