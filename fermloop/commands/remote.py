"""What is said to a running controller: its state asked, and commands in a person's name."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx

from controller.registry import Kind, held, running
from fermloop.failure import USAGE, FailureError
from fermloop.identity import acting

TIMEOUT_S = 5.0  # wall; a controller answers within one scan
START: dict[Kind, str] = {
    "controller": "start one with: fermloop run PLANT.toml",
    "simulator": "start one with: fermloop simulate PLANT.toml",
}


def find(plant: Path | None, kind: Kind = "controller") -> Path:
    """Return the command socket of the controller or simulator that is meant.

    Args:
        plant: the plant file, or ``None``: the one in this folder's ``data``, or the only one.
        kind: which of the two.

    Raises:
        FailureError: none runs, or several do and none was named.
    """
    cards = running(kind)
    if plant is not None:
        wanted = str(plant.absolute())
        for card in cards:
            if card.plant == wanted:
                return Path(card.socket)
        here = _socket_of(plant)
        if kind == "controller" and held(here):
            return here
        raise FailureError(f"{plant}: no {kind} runs this plant; {START[kind]}")
    here = Path("data/control.sock").absolute()
    if kind == "controller" and held(here):
        return here
    if not cards:
        raise FailureError(f"no {kind} runs; {START[kind]}")
    if len(cards) > 1:
        choices = [f"  --plant {card.plant}  (pid {card.pid})" for card in cards]
        raise FailureError([f"more than one {kind} runs; say which:", *choices], USAGE)
    return Path(cards[0].socket)


def _socket_of(plant: Path) -> Path:
    try:
        table = tomllib.loads(plant.read_text(encoding="utf-8"))
    except OSError as error:
        raise FailureError(f"{plant}: {error.strerror}; a plant file is required", USAGE) from None
    except ValueError as error:
        raise FailureError(f"{plant}: not valid TOML: {error}", USAGE) from None
    return Path(str(table.get("data_dir", "data"))).absolute() / "control.sock"


def ask(
    socket: Path,
    path: str,
    body: Mapping[str, object] | None = None,
    kind: Kind = "controller",
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """Return the answer of a controller or simulator to a command, with no ``body`` to a question.

    Raises:
        FailureError: it refused (its own words), is gone or does not answer.
    """
    if not held(socket):
        raise FailureError(f"{socket}: no {kind} runs there; {START[kind]}")
    transport = httpx.HTTPTransport(uds=str(socket))
    try:
        with httpx.Client(transport=transport, base_url="http://fermloop") as client:
            answer = client.request(
                "GET" if body is None else "POST", path, json=body, timeout=timeout_s
            )
        said = answer.json()
    except httpx.TimeoutException:
        raise FailureError(f"{socket}: the {kind} does not answer in {timeout_s:g} s") from None
    except httpx.HTTPError as error:
        raise FailureError(
            f"{socket}: the {kind} cannot be reached: {error}; {START[kind]}"
        ) from None
    except ValueError:
        raise FailureError(f"{socket}: what answers there is no fermloop {kind}") from None
    if answer.status_code != 200:
        raise FailureError(str(cast("dict[str, object]", said).get("error", "it was refused")))
    return cast("dict[str, Any]", said)


def status(plant: Path | None, as_json: bool) -> None:
    """Print the whole state."""
    state = ask(find(plant), "/state")
    if as_json:
        print(json.dumps(state, ensure_ascii=False))
        return
    from fermloop.commands.live import show

    show(state)


def mode(
    plant: Path | None, as_json: bool, loop: str, mode: str, reason: str, as_name: str = ""
) -> None:
    """Ask for a loop's mode."""
    body = {"mode": mode, "reason": reason}
    command(plant, as_json, f"/loop/{name(loop)}/mode", body, as_name)


def setpoint(
    plant: Path | None, as_json: bool, loop: str, value: float, reason: str, as_name: str = ""
) -> None:
    """Move a loop's setpoint."""
    body = {"value": value, "reason": reason}
    command(plant, as_json, f"/loop/{name(loop)}/setpoint", body, as_name)


def output(
    plant: Path | None, as_json: bool, loop: str, value: float, reason: str, as_name: str = ""
) -> None:
    """Move the output of a loop in MANUAL."""
    body = {"value": value, "reason": reason}
    command(plant, as_json, f"/loop/{name(loop)}/output", body, as_name)


def recipe(
    plant: Path | None,
    as_json: bool,
    action: str,
    reactor: str,
    recipe: Path | None,
    parameters: Mapping[str, float],
    reason: str,
    as_name: str = "",
) -> None:
    """Start, hold, resume, step, edit or abort a batch, or confirm what it asks."""
    body: dict[str, object] = {"reason": reason}
    if action not in ("start", "edit"):
        for given in (recipe, *parameters):
            if given is not None:
                why = f"is not allowed with {action}; only with start and edit"
                raise FailureError(f"{given}: {why}", USAGE)
    if recipe is not None:
        body["recipe"] = str(recipe.absolute())  # the controller may run in another folder
    if parameters:
        body["parameters"] = dict(parameters)
    path = f"/recipe/{name(reactor)}"
    if action == "edit":
        path += "/edit"
    else:
        body["action"] = str(action)
    command(plant, as_json, path, body, as_name)


def acknowledge(
    plant: Path | None, as_json: bool, alarm: str, comment: str, as_name: str = ""
) -> None:
    """Acknowledge an alarm, or all of a reactor."""
    command(plant, as_json, f"/alarm/{name(alarm)}/acknowledge", {"comment": comment}, as_name)


def optimiser(
    plant: Path | None, as_json: bool, reactor: str, mode: str, reason: str, as_name: str = ""
) -> None:
    """Switch a reactor's optimiser."""
    body = {"mode": mode, "reason": reason}
    command(plant, as_json, f"/optimiser/{name(reactor)}", body, as_name)


def safe_stop(
    plant: Path | None, as_json: bool, reactor: str, reason: str, as_name: str = ""
) -> None:
    """Bring a reactor, or all of them, to the safe values."""
    path = f"/safe-stop/{name(reactor)}" if reactor else "/safe-stop"
    command(plant, as_json, path, {"reason": reason}, as_name)


def release(
    plant: Path | None, as_json: bool, reactor: str, reason: str, as_name: str = ""
) -> None:
    """End the safe stop of a reactor."""
    command(plant, as_json, f"/release/{name(reactor)}", {"reason": reason}, as_name)


def stop(plant: Path | None, as_json: bool, reason: str = "", as_name: str = "") -> None:
    """End the controller in order."""
    command(plant, as_json, "/stop", {"reason": reason}, as_name)


def command(
    plant: Path | None,
    as_json: bool,
    path: str,
    body: Mapping[str, object],
    as_name: str = "",
) -> None:
    """Have the controller do something for a person, and print what it answers."""
    socket = find(plant)
    answer = ask(socket, path, {**body, **acting(socket.parent, as_name)})
    print(json.dumps(answer, ensure_ascii=False) if as_json else answer["text"])


def name(name: str) -> str:
    """Return a name as it may stand in a path.

    Raises:
        FailureError: it is none.
    """
    if not name or any(c in name for c in "/?#%") or not name.isprintable():
        raise FailureError(f"{name!r} is not allowed; a name as in the plant file: R1.do", USAGE)
    return name
