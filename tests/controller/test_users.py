"""Local users: passwords, roles, lock-out, and the file that several processes change."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controller.acting.authority import LEAST, ROLES, ForbiddenError, Role, permits, require
from controller.acting.users import FAILURES_MAX, LOCKED_S, DeniedError, UserError, Users

PASSWORD = "溶氧 35 percent"


class Clock:
    time = 1.79e9

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Users:
    users = Users(tmp_path / "data" / "users.json", clock)
    users.add("eva", Role.ENGINEER, PASSWORD, language="zh", first=True)
    return users


def wrong(users: Users, name: str, times: int = 1) -> DeniedError:
    for _ in range(times - 1):
        with pytest.raises(DeniedError):
            users.authenticate(name, "not it")
    with pytest.raises(DeniedError) as denied:
        users.authenticate(name, "not it")
    return denied.value


def test_a_role_may_what_those_below_it_may_and_what_is_not_in_the_table_nobody() -> None:
    for action, least in LEAST.items():
        assert [permits(role, action) for role in Role] == [role >= least for role in Role]
    assert not any(permits(role, "everything") for role in Role)
    with pytest.raises(ForbiddenError, match="setpoint: a viewer may not; operator is required"):
        require(Role.VIEWER, "setpoint")
    with pytest.raises(ForbiddenError, match="everything: a engineer may not; nobody may"):
        require(Role.ENGINEER, "everything")


def test_a_viewer_moves_nothing() -> None:
    may = {a for a, least in LEAST.items() if least is Role.VIEWER}
    assert may == {"view", "session", "what-if"}


def test_the_right_password_opens_and_a_wrong_one_does_not(users: Users) -> None:
    user = users.authenticate("eva", PASSWORD)
    assert (user.name, user.role, user.language) == ("eva", Role.ENGINEER, "zh")
    assert str(wrong(users, "eva")) == str(wrong(users, "nobody")) == "name or password is wrong"


def test_only_the_owner_reads_the_file_and_no_password_is_in_it(users: Users) -> None:
    text = users.path.read_text(encoding="utf-8")
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in text
    assert "35 percent" not in text
    users.path.chmod(0o640)
    with pytest.raises(UserError, match="mode 0640 is not allowed; 0600, its owner alone"):
        users.authenticate("eva", PASSWORD)


def test_five_wrong_passwords_lock_for_ten_minutes(users: Users, clock: Clock) -> None:
    users.add("ana", Role.OPERATOR, PASSWORD)
    assert not wrong(users, "ana", FAILURES_MAX - 1).locked
    fifth = wrong(users, "ana")
    assert fifth.locked
    assert "ana is locked after 5 wrong passwords, for 10 min or until an engineer" in str(fifth)
    clock.time += LOCKED_S - 1
    with pytest.raises(DeniedError, match="for 1 min or until an engineer unlocks"):
        users.authenticate("ana", PASSWORD)  # the right one is not even tried
    assert users.authenticate("eva", PASSWORD)  # nobody else is locked
    clock.time += 2
    assert users.refusal("ana") == ""
    assert users.authenticate("ana", PASSWORD)


def test_the_right_password_forgives_the_wrong_ones_before(users: Users) -> None:
    wrong(users, "eva", FAILURES_MAX - 1)
    users.authenticate("eva", PASSWORD)
    assert not wrong(users, "eva", FAILURES_MAX - 1).locked


def test_a_clock_that_was_set_back_locks_nobody_for_years(users: Users, clock: Clock) -> None:
    wrong(users, "eva", FAILURES_MAX)
    clock.time -= 1e6
    assert users.authenticate("eva", PASSWORD)


def test_an_engineer_locks_and_unlocks(users: Users, clock: Clock) -> None:
    users.add("ana", Role.OPERATOR, PASSWORD)
    users.lock("ana")
    clock.time += 1e6
    with pytest.raises(DeniedError, match="ana is locked; an engineer unlocks"):
        users.authenticate("ana", PASSWORD)
    users.unlock("ana")
    assert users.authenticate("ana", PASSWORD)
    wrong(users, "ana", FAILURES_MAX)
    users.unlock("ana")
    assert users.authenticate("ana", PASSWORD)


def test_a_new_password_counts_at_once_and_unlocks(users: Users) -> None:
    wrong(users, "eva", FAILURES_MAX)
    users.set_password("eva", "another one")
    assert users.authenticate("eva", "another one")
    wrong(users, "eva")


@pytest.mark.parametrize("password", ["", "seven77", "x" * 129, "EVA-EVAN"])
def test_a_password_that_is_too_weak_is_refused(users: Users, password: str) -> None:
    with pytest.raises(UserError, match="8 to 128 characters are required"):
        users.add("eva-evan", Role.VIEWER, password)
    assert list(users.all()) == ["eva"]


@pytest.mark.parametrize(
    "name", ["", "Ana", "ana lee", "-ana", "ana.", "a" * 33, "安", "a\nb", "a/b"]
)
def test_a_name_that_is_not_allowed_is_refused(users: Users, name: str) -> None:
    with pytest.raises(UserError, match="a name is 1 to 32 of a-z"):
        users.add(name, Role.VIEWER, PASSWORD)


def test_names_are_unique_and_the_first_is_the_first(users: Users) -> None:
    with pytest.raises(UserError, match="there is such a user already"):
        users.add("eva", Role.VIEWER, PASSWORD)
    with pytest.raises(UserError, match="there are users already"):
        users.add("ana", Role.ENGINEER, PASSWORD, first=True)


def test_the_last_engineer_stays(users: Users) -> None:
    users.add("ana", Role.OPERATOR, PASSWORD)
    for change in (
        lambda: users.remove("eva"),
        lambda: users.lock("eva"),
        lambda: users.set_role("eva", Role.OPERATOR),
    ):
        with pytest.raises(UserError, match="eva is the last engineer"):
            change()
    users.set_role("ana", Role.ENGINEER)
    assert users.set_role("eva", Role.VIEWER).role is Role.VIEWER
    assert users.remove("eva").name == "eva"
    assert list(users.all()) == ["ana"]


def test_who_is_not_there_is_named_with_those_who_are(users: Users) -> None:
    with pytest.raises(UserError, match="'bo': no such user; eva"):
        users.lock("bo")
    with pytest.raises(UserError, match="'bo': no such user; eva"):
        users.one("bo")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"users": 3}', '{"users": {"ana": {"role": "king", "hash": ""}}}',
             '{"users": {"ana": {"role": "viewer"}}}', '{"users": {"ana": 3}}'],
)  # fmt: skip
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UserError, match="cannot be used"):
        Users(path).authenticate("ana", PASSWORD)


def test_a_damaged_hash_fits_no_password(users: Users) -> None:
    table = json.loads(users.path.read_text())
    table["users"]["eva"]["hash"] = "x"
    users.path.write_text(json.dumps(table))
    wrong(users, "eva")
    with pytest.raises(DeniedError):
        users.authenticate("eva", "x")


CHANGE = """
import sys
from pathlib import Path
from controller.acting.users import Users
users = Users(Path(sys.argv[1]))
for language in ("en", "zh") * 20:
    users.set_language(sys.argv[2], language)
"""


def test_several_processes_change_it_and_lose_nothing(users: Users) -> None:
    users.add("ana", Role.OPERATOR, PASSWORD)
    others = [
        subprocess.Popen([sys.executable, "-c", CHANGE, str(users.path), name], cwd=os.getcwd())
        for name in ("eva", "ana")
    ]
    for i in range(40):
        users.set_role("ana", Role.OPERATOR if i % 2 else Role.VIEWER)
    assert [other.wait(30) for other in others] == [0, 0]
    found = users.all()
    assert [found[n].language for n in ("ana", "eva")] == ["zh", "zh"]
    assert found["ana"].role is Role.OPERATOR
    assert sorted(ROLES) == ["engineer", "operator", "viewer"]
