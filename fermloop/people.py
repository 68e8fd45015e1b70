"""``fermloop user add``, ``list``, ``role``, ``lock``, ``unlock``, ``password``, ``remove``."""

from enum import StrEnum
from typing import Annotated

import typer

from fermloop.options import As, Json, PlantFile, Reason


class RoleName(StrEnum):
    """What a user may do; each may do what those before may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"


app = typer.Typer(
    no_args_is_help=True,
    help=(
        "The plant's local users: who may log in to the console and act on the command line.\n\n"
        "The first user is an engineer and made without a log-in; all others by an engineer. "
        "Passwords are asked for, or read from the 0600 file that FERMLOOP_PASSWORD_FILE names "
        "(its first line; a new one from its second)."
    ),
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]


@app.command("list", short_help="Every user, role and whether he is locked.")
def show(plant: PlantFile, as_json: Json = False) -> None:
    """Show every user of the plant; no password hash is shown."""
    from fermloop.commands import user

    user.show(plant, as_json)


@app.command("add", short_help="Make a user.")
def add(
    plant: PlantFile,
    name: Name,
    role: Annotated[
        RoleName, typer.Option("--role", case_sensitive=False, help="What he may do.")
    ] = RoleName.OPERATOR,
    reason: Reason = "",
    as_name: As = "",
) -> None:
    """Make a user and ask for his password twice; 8 characters at least.

    Example: fermloop user add plant.toml ana --role operator
    """
    from fermloop.commands import user

    user.add(plant, name, str(role), reason, as_name)


@app.command("role", short_help="Give a user another role.")
def role(
    plant: PlantFile,
    name: Name,
    role: Annotated[RoleName, typer.Argument(case_sensitive=False, help="The new role.")],
    reason: Reason = "",
    as_name: As = "",
) -> None:
    """Give a user another role; it counts at once, in open sessions too."""
    from fermloop.commands import user

    user.change(plant, name, "role", reason, as_name, str(role))


@app.command("lock", short_help="Keep a user out.")
def lock(plant: PlantFile, name: Name, reason: Reason = "", as_name: As = "") -> None:
    """Keep a user out until an engineer unlocks him; his open sessions end."""
    from fermloop.commands import user

    user.change(plant, name, "locked", reason, as_name)


@app.command("unlock", short_help="Let a locked user in again.")
def unlock(plant: PlantFile, name: Name, reason: Reason = "", as_name: As = "") -> None:
    """Let a user in again who was locked, by an engineer or after five wrong passwords."""
    from fermloop.commands import user

    user.change(plant, name, "unlocked", reason, as_name)


@app.command("password", short_help="Give a user another password.")
def password(plant: PlantFile, name: Name, reason: Reason = "", as_name: As = "") -> None:
    """Ask for a user's new password; an engineer may, and everybody for himself."""
    from fermloop.commands import user

    user.change(plant, name, "password", reason, as_name)


@app.command("remove", short_help="Forget a user.")
def remove(plant: PlantFile, name: Name, reason: Reason = "", as_name: As = "") -> None:
    """Forget a user; what he did stays in the audit trail."""
    from fermloop.commands import user

    user.change(plant, name, "removed", reason, as_name)
