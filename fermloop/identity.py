"""Who gives a command on the command line: one of the plant's users, with his password.

The command socket and the users are files of one owner, so this asks for no more rights than he
has; it is so that the audit trail names the person and his role limits him as in the console.
"""

import getpass
import os
import sys
from pathlib import Path

from controller.acting.authority import Role
from controller.acting.users import DeniedError, UserError, Users
from fermloop.failure import USAGE, FailureError

PASSWORD_FILE = "FERMLOOP_PASSWORD_FILE"
USERS_FILE = "users.json"


def users_of(data_dir: Path) -> Users:
    """Return the users of the plant whose data are in ``data_dir``."""
    return Users(data_dir / USERS_FILE)


def acting(data_dir: Path, as_name: str = "") -> dict[str, str]:
    """Return ``who`` and ``role`` for a command to the controller.

    Where the plant has no users yet, that is the log-in of this machine, as engineer.

    Args:
        data_dir: where the plant's users are.
        as_name: who it is; empty: the user named as the log-in of this machine, or the only one.

    Raises:
        FailureError: no such user, a wrong password, or nobody to ask for it.
    """
    users = users_of(data_dir)
    try:
        known = users.all()
        if not known:
            if as_name:
                raise FailureError(f"--as {as_name}: this plant has no users yet", USAGE)
            name = os_user()
            print(f"note: this plant has no users yet; acting as {name}", file=sys.stderr)
            return {"who": name, "role": Role.ENGINEER.word}
        name = as_name or (os_user() if os_user() in known else "")
        if not name and len(known) == 1:
            name = next(iter(known))
        if not name:
            raise FailureError(f"say who you are: --as NAME, one of {', '.join(known)}", USAGE)
        user = users.authenticate(name, _asked(name))
    except (DeniedError, UserError) as error:
        raise FailureError(str(error)) from None
    return {"who": user.name, "role": user.role.word}


def new_password(name: str) -> str:
    """Return a password that was typed twice, or is in the file of ``FERMLOOP_PASSWORD_FILE``.

    Raises:
        FailureError: the two differ, or there is nobody to ask.
    """
    if (given := _from_file(second=True)) is not None:
        return given
    first = _typed(f"new password of {name}: ")
    if _typed("the same again: ") != first:
        raise FailureError("the two passwords are not the same; nothing was changed", USAGE)
    return first


def os_user() -> str:
    """Return the log-in of this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _asked(name: str) -> str:
    given = _from_file()
    return _typed(f"password of {name}: ") if given is None else given


def _typed(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise FailureError(
            f"no terminal to ask for a password; a file in {PASSWORD_FILE} is required", USAGE
        )
    return getpass.getpass(prompt)


def _from_file(*, second: bool = False) -> str | None:
    """Return the password file's first line, or its ``second`` if it has one."""
    path = os.environ.get(PASSWORD_FILE)
    if not path:
        return None
    try:
        mode = Path(path).stat().st_mode & 0o777
        if mode & 0o077:
            raise FailureError(f"{path}: mode {mode:04o} is not allowed; 0600", USAGE)
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        password = (lines[1] if second and len(lines) > 1 else "") or lines[0]
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise FailureError(f"{path}: {why}; {PASSWORD_FILE} names a readable file", USAGE) from None
    if not password:
        raise FailureError(f"{path}: is empty; a password is required", USAGE)
    return password
