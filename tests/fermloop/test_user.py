"""``fermloop user`` and who acts on the command line: names, passwords, roles and the record."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.acting.authority import Role
from controller.acting.users import Users
from fermloop.cli import app
from fermloop.failure import FailureError
from fermloop.identity import acting
from historian.sqlite import SqliteReader

ROOT = Path(__file__).parents[2]
PASSWORD = "a long password"


class Desk:
    """A plant in a folder of its own, and who types."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data = folder / "data"
        self.plant = folder / "plant.toml"
        text = (ROOT / "sim/plants/ecoli_5l.toml").read_text(encoding="utf-8")
        self.plant.write_text(
            text.replace('data_dir = "data"', f"data_dir = {json.dumps(str(self.data))}")
        )
        self.file = folder / "password"
        self.file.touch(0o600)
        self.says(PASSWORD)
        monkeypatch.setenv("FERMLOOP_PASSWORD_FILE", str(self.file))
        monkeypatch.setattr("getpass.getuser", lambda: "root")

    def says(self, *lines: str) -> None:
        self.file.write_text("\n".join(lines), encoding="utf-8")

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(app, ["user", words[0], str(self.plant), *words[1:]])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    def record(self) -> list[str]:
        with SqliteReader(self.data / "store.sqlite") as reader:
            assert reader.verify(closed=True).ok
            return [f"{e['source']}: {e['text']}" for e in reader.events()]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_the_first_user_is_an_engineer_who_makes_the_others(desk: Desk) -> None:
    assert "no users yet" in desk("list")
    with pytest.raises(FailureError, match="the first user must be an engineer"):
        desk("add", "ana", "--role", "operator")
    desk("add", "eva", "--role", "engineer")
    desk.says(PASSWORD, "the password of ana")
    assert desk("add", "ana", "--reason", "new in shift B") == "ana: made, operator\n"
    desk.says("the password of ana")
    with pytest.raises(FailureError, match="users: a operator may not; engineer is required"):
        desk("role", "ana", "engineer", "--as", "ana")
    desk.says("not the password")
    with pytest.raises(FailureError, match="name or password is wrong"):
        desk("lock", "ana", "--as", "eva")
    desk.says(PASSWORD)
    assert desk("role", "ana", "viewer", "--as", "eva") == "ana: role operator → viewer\n"
    desk("lock", "ana", "--as", "eva")
    assert json.loads(desk("list", "--json"))["ana"]["refused"] == (
        "ana is locked; an engineer unlocks"
    )
    desk("unlock", "ana", "--as", "eva")
    desk.says("the password of ana", "another of ana")
    desk("password", "ana")  # her own
    assert Users(desk.data / "users.json").authenticate("ana", "another of ana")
    desk.says(PASSWORD)
    desk("remove", "ana", "--as", "eva")
    with pytest.raises(FailureError, match="eva is the last engineer"):
        desk("remove", "eva", "--as", "eva")
    assert desk.record() == [
        "operator:root: eva user made: – → engineer",
        "operator:eva: ana user made: – → operator",
        "operator:eva: ana user role: operator → viewer",
        "operator:eva: ana user locked: – → locked",
        "operator:eva: ana user unlocked: ana is locked; an engineer unlocks → unlocked",
        "operator:ana: ana user password: – → changed",
        "operator:eva: ana user removed: viewer → removed",
    ]


def test_who_acts_is_a_user_with_his_password(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert acting(desk.data) == {"who": "root", "role": "engineer"}
    assert "no users yet; acting as root" in capsys.readouterr().err
    with pytest.raises(FailureError, match="--as eva: this plant has no users yet"):
        acting(desk.data, "eva")
    users = Users(desk.data / "users.json")
    users.add("eva", Role.ENGINEER, PASSWORD)
    assert acting(desk.data) == {"who": "eva", "role": "engineer"}  # the only one
    users.add("ana", Role.OPERATOR, PASSWORD)
    with pytest.raises(FailureError, match="say who you are: --as NAME, one of ana, eva"):
        acting(desk.data)
    assert acting(desk.data, "ana") == {"who": "ana", "role": "operator"}
    users.add("root", Role.VIEWER, PASSWORD)
    assert acting(desk.data) == {"who": "root", "role": "viewer"}  # named as the log-in is


def test_a_password_is_never_taken_from_a_file_that_others_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    Users(desk.data / "users.json").add("eva", Role.ENGINEER, PASSWORD)
    desk.file.chmod(0o644)
    with pytest.raises(FailureError, match="mode 0644 is not allowed; 0600"):
        acting(desk.data)
    desk.file.chmod(0o600)
    desk.says("")
    with pytest.raises(FailureError, match="is empty; a password is required"):
        acting(desk.data)
    monkeypatch.delenv("FERMLOOP_PASSWORD_FILE")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(FailureError, match="no terminal to ask for a password"):
        acting(desk.data)
