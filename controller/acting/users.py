"""The plant's local users: one file that only its owner can read, with hashed passwords.

Console and command line read and change it side by side: each change holds a lock and replaces the
whole file. Five wrong passwords in a row lock a user for ten minutes, or until an engineer unlocks
him: a stranger must not be able to keep a night shift out for good.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from controller.acting.authority import NAME, NAME_RULE, ROLES, Role
from controller.texts.said import said
from drivers.clock import wall

FAILURES_MAX = 5  # wrong passwords in a row
LOCKED_S = 600.0  # wall s
PASSWORD_MIN, PASSWORD_MAX = 8, 128  # characters
USERS_MAX = 200
LANGUAGES = ("", "en", "zh")  # empty: the browser's


class UserError(ValueError):
    """A user cannot be made, changed or found; the text says what is allowed."""


class DeniedError(Exception):
    """Somebody is not let in; the text may be shown to him.

    Attributes:
        locked: this very attempt has locked the user.
    """

    def __init__(self, text: str, *, locked: bool = False) -> None:
        super().__init__(text)
        self.locked = locked


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    Attributes:
        name: unique.
        role: what he may do.
        hash: argon2id, with salt and parameters.
        failures: wrong passwords since the last right one.
        locked_until: wall s since 1970 UTC up to which his password is not even tried.
        locked: an engineer has locked him.
        language: ``en``, ``zh`` or empty.
    """

    name: str
    role: Role
    hash: str
    failures: int = 0
    locked_until: float = 0.0
    locked: bool = False
    language: str = ""


class Users:
    """The users of one plant.

    Args:
        path: ``data_dir/users.json``; it need not be there yet.
        now: wall s since 1970 UTC.
    """

    def __init__(self, path: Path, now: Callable[[], float] = wall) -> None:
        self.path = path
        self._now = now

    def all(self) -> dict[str, User]:
        """Return every user by name.

        Raises:
            UserError: the file is damaged, or others than its owner can read it.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                if mode & 0o077:
                    raise UserError(
                        f"{self.path}: mode {mode:04o} is not allowed; 0600, its owner alone"
                    )
                table: dict[str, dict[str, Any]] = json.load(file)["users"]
            return {
                name: User(name, ROLES[u["role"]], **_rest(u)) for name, u in sorted(table.items())
            }
        except FileNotFoundError:
            return {}
        except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise UserError(f"{self.path}: cannot be used: {error!r}") from None

    def one(self, name: str) -> User:
        """Return a user.

        Raises:
            UserError: there is none of that name.
        """
        users = self.all()
        if name not in users:
            raise UserError(_unknown(name, users))
        return users[name]

    def add(
        self, name: str, role: Role, password: str, *, language: str = "", first: bool = False
    ) -> User:
        """Make a user.

        Args:
            name: see ``NAME_RULE``.
            role: what he may do.
            password: 8 to 128 characters, not his name.
            language: ``en``, ``zh`` or empty.
            first: only if there are no users yet.

        Raises:
            UserError: the name is taken or not allowed, or the password is not.
        """
        if not NAME.fullmatch(name):
            raise UserError(said("user_name", name=repr(name[:40]), rule=NAME_RULE))
        user = User(name, role, hashed(name, password), language=_language(language))
        with self._changing() as users:
            if first and users:
                raise UserError(said("users_already"))
            if name in users:
                raise UserError(said("user_already", name=repr(name)))
            if len(users) >= USERS_MAX:
                raise UserError(said("users_max", most=USERS_MAX))
            users[name] = user
        return user

    def remove(self, name: str) -> User:
        """Forget a user; what he did stays in the audit trail."""
        return self._change(name, None)

    def set_role(self, name: str, role: Role) -> User:
        """Give a user another role."""
        return self._change(name, lambda user: replace(user, role=role))

    def set_password(self, name: str, password: str) -> User:
        """Give a user another password; that also unlocks him after wrong ones."""
        new = hashed(name, password)
        return self._change(name, lambda u: replace(u, hash=new, failures=0, locked_until=0.0))

    def set_language(self, name: str, language: str) -> User:
        """Remember the language that a user reads."""
        chosen = _language(language)
        return self._change(name, lambda user: replace(user, language=chosen))

    def lock(self, name: str) -> User:
        """Keep a user out until an engineer unlocks him."""
        return self._change(name, lambda user: replace(user, locked=True))

    def unlock(self, name: str) -> User:
        """Let a locked user in again."""
        return self._change(name, lambda u: replace(u, locked=False, failures=0, locked_until=0.0))

    def refusal(self, name: str) -> str:
        """Return why ``name`` would not be let in whatever his password, or nothing."""
        user = self.all().get(name)
        return "" if user is None else self._shut(user)

    def authenticate(self, name: str, password: str) -> User:
        """Return the user whose name and password these are; takes some 20 ms of a core.

        Raises:
            DeniedError: they are not, or he is locked. Unknown names take as long as known ones.
            UserError: the file is damaged.
        """
        user = self.all().get(name)
        if user is not None and (why := self._shut(user)):
            raise DeniedError(why)
        right = matches(user.hash if user is not None else _NOBODY, password)
        if user is None:
            raise DeniedError(said("wrong"))
        with self._changing() as users:  # what others did meanwhile counts
            now = users.get(name)
            if now is None or now.hash != user.hash:
                raise DeniedError(said("wrong"))
            if why := self._shut(now):
                raise DeniedError(why)
            if right:
                users[name] = now = replace(now, failures=0, locked_until=0.0)
                return now
            failures = now.failures + 1
            locked = failures >= FAILURES_MAX
            until = self._now() + LOCKED_S if locked else 0.0
            users[name] = replace(now, failures=0 if locked else failures, locked_until=until)
        if locked:
            raise DeniedError(self._shut(users[name]), locked=True)
        raise DeniedError(said("wrong"))

    def _shut(self, user: User) -> str:
        left = user.locked_until - self._now()
        if user.locked:
            return said("locked", name=user.name)
        if 0 < left <= LOCKED_S:  # longer: the clock was set back, and is not to lock for ever
            minutes = -(-left // 60)
            return said("locked_out", name=user.name, failures=FAILURES_MAX, minutes=minutes)
        return ""

    def _change(self, name: str, change: Callable[[User], User] | None) -> User:
        """Change or remove a user, but never the last engineer who can get in."""
        with self._changing() as users:
            if name not in users:
                raise UserError(_unknown(name, users))
            old = users.pop(name)
            new = old if change is None else change(old)
            if change is not None:
                users[name] = new
            if _in_charge(old) and not any(map(_in_charge, users.values())):
                raise UserError(said("last_engineer", name=name))
        return new

    @contextlib.contextmanager
    def _changing(self) -> Generator[dict[str, User]]:
        """Give the users to change, and put them in place whole; an exception changes nothing."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_name(self.path.name + ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            users = self.all()
            before = dict(users)
            yield users
            if users != before:
                self._write(users)

    def _write(self, users: Mapping[str, User]) -> None:
        table = {user.name: _plain(user) for user in users.values()}
        aside = self.path.with_name(f".{self.path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"users": table}, file, indent=1)
            file.flush()
            os.fsync(handle)
        aside.replace(self.path)


def hashed(name: str, password: str) -> str:
    """Return the argon2id hash of a new password.

    Raises:
        UserError: it is too short, too long or the name itself.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX or password.casefold() == name.casefold():
        raise UserError(said("password", least=PASSWORD_MIN, most=PASSWORD_MAX))
    return _hasher().hash(password)


def matches(digest: str, password: str) -> bool:
    """Whether ``password`` is that of ``digest``; never raises."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return len(password) <= PASSWORD_MAX and _hasher().verify(digest, password)
    except (VerificationError, InvalidHashError, UnicodeError):
        return False


def _hasher() -> Any:
    from argon2 import PasswordHasher  # here, so that the controller does not pay for it

    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


# A hash that fits no password that anybody knows: unknown names cost what known ones do.
_NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$UFd2MUNJZGdMRTNsZ1FNZA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


def _unknown(name: str, users: Mapping[str, User]) -> str:
    return said("no_user", name=repr(name), known=", ".join(users) or "there are none yet")


def _in_charge(user: User) -> bool:
    return user.role is Role.ENGINEER and not user.locked


def _language(text: str) -> str:
    if text not in LANGUAGES:
        raise UserError(said("language", language=repr(text)))
    return text


def _plain(user: User) -> dict[str, Any]:
    return {k: v for k, v in (asdict(user) | {"role": user.role.word}).items() if k != "name"}


def _rest(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != "role"}
