"""The compose stack, as far as it can be tested without a Docker engine.

``compose-spec.json`` is the Compose Specification's own schema, unchanged, as compose-go 2.16.2
carries it (Apache-2.0, the Compose Specification Authors).
"""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import typer
import yaml

from dashboards.grafana import relay, stack
from fermloop.cli import app

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
# The user of each image, and so the files in /stack that it can read.
USERS = {"influxdb": stack.INFLUX, "grafana": stack.GRAFANA, "fermloop": stack.FERMLOOP}


def environment(service: str) -> dict[str, str]:
    return SERVICES[service].get("environment", {})


def test_it_follows_the_compose_specification() -> None:
    text = (ROOT / "tests/dashboards/compose-spec.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    validator: Any = jsonschema.Draft202012Validator(schema)
    wrong = [error.message for error in validator.iter_errors(COMPOSE)]
    assert wrong == []
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["grafana"]["port"] = ["3000"]
    assert not validator.is_valid(broken)


def test_it_brings_the_plant_the_controller_and_both_servers() -> None:
    assert {"influxdb", "grafana", "plant", "fermloop", "console"} <= SERVICES.keys()
    assert SERVICES["influxdb"]["image"].startswith("influxdb:2.")
    assert SERVICES["plant"]["command"][0] == "simulate"
    assert SERVICES["fermloop"]["command"][0] == "run"


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8081", "127.0.0.1:3000:3000"]
    assert all(
        s.get("network_mode") in (None, "none", "service:console") for s in SERVICES.values()
    )
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert SERVICES["influxdb"]["networks"] == ["inside"]


def test_every_image_is_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    for image in images:
        assert re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?$", image), image


def test_no_secret_is_written_down_and_none_is_a_default() -> None:
    for name in SERVICES:
        for key, value in environment(name).items():
            if re.search("PASSWORD|TOKEN|SECRET", key):
                assert key.endswith("_FILE"), key
                assert value.startswith("/stack/"), value


def provisioning(folder: Path) -> dict[str, str]:
    """Return what the stack shows Grafana, as if ``folder`` were its volume."""
    stack.make_plant(folder, ROOT / "sim/plants/ecoli_5l.toml")
    stack.make_grafana(folder)
    at = folder / "grafana/provisioning"
    return {
        str(path.relative_to(at)): path.read_text(encoding="utf-8").replace(str(folder), "/stack")
        for path in at.rglob("*.yaml")
    }


def test_each_reader_of_a_secret_owns_its_file(tmp_path: Path) -> None:
    owners = stack.SECRETS | {name: uid for name, (uid, _) in stack.ACCOUNTS.items()}
    provisioned = provisioning(tmp_path)["datasources/fermloop.yaml"]
    asked = {
        "influxdb": re.findall(r"/stack/(\w+)", json.dumps(environment("influxdb"))),
        "grafana": re.findall(
            r"/stack/(\w+_\w+)", json.dumps(environment("grafana")) + provisioned
        ),
        "fermloop": ["fermloop_token"],
    }
    assert sorted(name for names in asked.values() for name in names) == sorted(owners)
    for service, names in asked.items():
        assert {owners[name] for name in names} == {USERS[service]}, service


def test_the_volume_of_secrets_is_written_by_the_preparing_services_only() -> None:
    writers = {
        name
        for name, service in SERVICES.items()
        if "stack:/stack" in service.get("volumes", [])  # without :ro
    }
    assert writers == {"secrets", "accounts"}


def test_services_wait_for_what_they_need() -> None:
    needs = {n: {*s.get("depends_on", {})} for n, s in SERVICES.items()}
    order: list[str] = []
    while len(order) < len(needs):
        ready = [n for n in needs if n not in order and needs[n] <= {*order}]
        assert ready, f"a circle among {needs.keys() - {*order}}"
        order += ready
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            if how["condition"] == "service_completed_successfully":
                assert "restart" not in SERVICES[name]


def test_what_runs_on_is_watched_and_started_again() -> None:
    lasting = {name for name, s in SERVICES.items() if s.get("restart") == "unless-stopped"}
    assert lasting == {"influxdb", "console", "plant", "fermloop", "grafana"}
    assert all("healthcheck" in SERVICES[name] for name in lasting - {"console"})


def test_every_file_that_is_mounted_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
                assert volume.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]


def test_grafana_finds_bucket_data_source_and_boards_where_they_are_made(tmp_path: Path) -> None:
    made = provisioning(tmp_path)
    influx = environment("influxdb")
    (source,) = yaml.safe_load(made["datasources/fermloop.yaml"])["datasources"]
    assert source["url"] == stack.INFLUX_URL
    assert source["jsonData"]["dbName"] == influx["DOCKER_INFLUXDB_INIT_BUCKET"] == stack.BUCKET
    assert influx["DOCKER_INFLUXDB_INIT_ORG"] == stack.ORG
    (provider,) = yaml.safe_load(made["dashboards/fermloop.yaml"])["providers"]
    home = Path(environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert provider["options"]["path"] == str(home.parent) == "/stack/grafana/boards"
    assert (tmp_path / "grafana/boards" / home.name).exists()
    assert environment("grafana")["GF_PATHS_PROVISIONING"] == "/stack/grafana/provisioning"
    assert SERVICES["grafana"]["volumes"][-1] == "stack:/stack:ro"


def test_who_is_told_is_asked_for_and_checked(tmp_path: Path) -> None:
    assert environment("secrets") == {stack.CONTACT: "${FERMLOOP_CONTACT:-}"}
    assert "alerting/contacts.yaml" not in provisioning(tmp_path)
    stack.make_grafana(tmp_path, "wecom=https://chat.example/send?key=k")
    text = (tmp_path / "grafana/provisioning/alerting/contacts.yaml").read_text(encoding="utf-8")
    (point,) = yaml.safe_load(text)["contactPoints"]
    assert point["receivers"][0]["settings"] == {"url": "https://chat.example/send?key=k"}
    with pytest.raises(stack.StackError, match=r"FERMLOOP_CONTACT: 'fax=1' is not allowed; email="):
        stack.make_grafana(tmp_path, "fax=1")


# Our image


@pytest.mark.parametrize("name", [n for n in OURS if "entrypoint" not in SERVICES[n]])
def test_the_program_takes_the_command(name: str, tmp_path: Path) -> None:
    stack.make_plant(tmp_path, ROOT / "sim/plants/ecoli_5l.toml")
    for words in (SERVICES[name]["command"], SERVICES[name]["healthcheck"]["test"][1:]):
        if words[0] == "python":
            compile(words[2], "healthcheck", "exec")
            continue
        here = [w.replace("/stack", str(tmp_path)) for w in words if w != "fermloop"]
        here = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in here]
        parsed(here)


def parsed(words: list[str]) -> None:
    """Parse a command line as the program does, without running it."""
    group = cast(Any, typer.main.get_command(app))
    context = group.make_context("fermloop", list(words))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", [n for n in OURS if "entrypoint" in SERVICES[n]])
def test_the_module_is_there(name: str) -> None:
    python, flag, module = SERVICES[name]["entrypoint"]
    assert (python, flag) == ("python", "-m")
    assert module in (stack.__name__, relay.__name__)


def test_the_relay_is_published_and_leads_to_the_console() -> None:
    listened, console = SERVICES["console"]["command"]
    plant = tomllib.loads((ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8"))
    assert console == plant["console"]["address"]
    assert SERVICES["console"]["ports"] == [f"127.0.0.1:8080:{listened}"]
    assert all(SERVICES[n]["network_mode"] == "service:console" for n in ("plant", "fermloop"))


def test_our_services_can_do_little_else() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    root = {name for name in SERVICES if SERVICES[name].get("user") == "0:0"}
    assert root == {"secrets", "accounts"}


def test_the_image_runs_as_nobody_special_with_hashes_checked() -> None:
    assert f"USER {stack.FERMLOOP}:{stack.FERMLOOP}" in DOCKERFILE
    assert f"--uid {stack.FERMLOOP}" in DOCKERFILE
    assert f"--home-dir {stack.DATA_DIR}" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert 'ENTRYPOINT ["fermloop"]' in DOCKERFILE
    for name in ("plant", "fermloop"):
        assert any(v.endswith(f":{stack.DATA_DIR}") for v in SERVICES[name]["volumes"])


def test_the_image_holds_every_package_and_nothing_that_is_not_let_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    assert {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]} <= sources
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
    for kept_out in (".git", ".venv", "data", "tests"):
        assert not any(fnmatch(kept_out, pattern) for pattern in allowed)


def test_the_image_s_python_is_one_that_fermloop_supports() -> None:
    minor = re.search(r"^FROM python:3\.(\d+)\.", DOCKERFILE, flags=re.MULTILINE)
    assert minor
    assert 11 <= int(minor[1]) <= 13
