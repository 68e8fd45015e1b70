"""``fermloop user``: changes the plant's users, in an engineer's name, and puts it on record."""

import json
from pathlib import Path

from controller.acting.authority import ROLES, Role, require
from controller.acting.users import DeniedError, User, UserError
from controller.plant import Plant, load_plant
from controller.registry import held
from controller.texts.audit import change as change_event
from drivers.clock import wall
from fermloop.commands.remote import ask
from fermloop.failure import FailureError
from fermloop.identity import acting, new_password, os_user, users_of
from historian.sqlite import SqliteStore, StoreError


def show(plant_file: Path, as_json: bool) -> None:
    """Print every user."""
    users = users_of(load_plant(plant_file).data_dir)
    try:
        found = users.all()
    except UserError as error:
        raise FailureError(str(error)) from None
    if as_json:
        table = {n: {"role": u.role.word, "refused": users.refusal(n)} for n, u in found.items()}
        print(json.dumps(table))
        return
    for name, user in found.items():
        print(f"{name}: {user.role.word}{'; ' if users.refusal(name) else ''}{users.refusal(name)}")
    if not found:
        print("no users yet; make the first: fermloop user add PLANT.toml NAME --role engineer")


def add(plant_file: Path, name: str, role: str, reason: str, as_name: str) -> None:
    """Make a user; the first one must be an engineer."""
    plant = load_plant(plant_file)
    users = users_of(plant.data_dir)
    try:
        first = not users.all()
        if first and ROLES[role] is not Role.ENGINEER:
            raise FailureError(f"--role {role}: the first user must be an engineer")
        by = {"who": os_user(), "role": Role.ENGINEER.word} if first else _engineer(plant, as_name)
        users.add(name, ROLES[role], new_password(name), first=first)
    except (UserError, PermissionError) as error:
        raise FailureError(str(error)) from None
    record(plant, name, "made", "", role, reason, by)
    print(f"{name}: made, {role}")


def change(
    plant_file: Path, name: str, what: str, reason: str, as_name: str, role: str = ""
) -> None:
    """Change or remove a user.

    Args:
        plant_file: the plant.
        name: the user.
        what: ``role``, ``password``, ``locked``, ``unlocked`` or ``removed``.
        reason: why.
        as_name: who does it.
        role: the new one.
    """
    plant = load_plant(plant_file)
    users = users_of(plant.data_dir)
    try:
        before = users.one(name)
        by = acting(plant.data_dir, as_name or (name if what == "password" else ""))
        if not (what == "password" and by["who"] == name):
            require(ROLES[by["role"]], "users")
        old, new = _done(plant, before, what, role)
    except (UserError, DeniedError, PermissionError) as error:
        raise FailureError(str(error)) from None
    record(plant, name, what, old, new, reason, by)
    print(f"{name}: {what}{f' {old} → {new}' if what == 'role' else ''}")


def _done(plant: Plant, before: User, what: str, role: str) -> tuple[str, str]:
    """Do it and return what was so and what is so now, as the record shows it."""
    users = users_of(plant.data_dir)
    match what:
        case "role":
            return before.role.word, users.set_role(before.name, ROLES[role]).role.word
        case "password":
            users.set_password(before.name, new_password(before.name))
            return "", "changed"
        case "locked":
            users.lock(before.name)
            return "", "locked"
        case "unlocked":
            old = users.refusal(before.name)
            users.unlock(before.name)
            return old, "unlocked"
        case _:
            users.remove(before.name)
            return before.role.word, "removed"


def _engineer(plant: Plant, as_name: str) -> dict[str, str]:
    by = acting(plant.data_dir, as_name)
    require(ROLES[by["role"]], "users")
    return by


def record(
    plant: Plant, name: str, what: str, old: str, new: str, reason: str, by: dict[str, str]
) -> None:
    """Put it into the audit trail: through the controller, or into the store while none runs."""
    if held(plant.socket):
        # his own password is a matter of his session, whatever his role
        own = what == "password" and by["who"] == name
        path = f"/session/{name}" if own else f"/user/{name}"
        ask(plant.socket, path, {"what": what, "old": old, "new": new, "reason": reason, **by})
        return
    who = f"operator:{by['who']}"
    try:
        with SqliteStore(plant.store) as store:
            store.record(change_event(wall(), who, name, f"user {what}", old, new, reason))
    except StoreError as error:
        raise FailureError(f"{name}: {what}, but not on record: {error}") from None
