"""The console's own process: its address, its events, and its end."""

import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dashboards.console.__main__ import AddressError, bind, main, split
from tests.dashboards.far_end import PASSWORD, FarEnd, people

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_loopback_addresses_are_taken(address: str, expected: tuple[str, int]) -> None:
    assert split(address) == expected


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:8080", "10.0.0.5:80", "[::]:80", ":8080", "example.org:80", "127.0.0.1", "127.0.0.1:",
     "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:٣"],
)  # fmt: skip
def test_any_other_address_is_refused_before_anything_is_opened(
    address: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--socket", str(tmp_path / "c"), "--store", str(tmp_path / "s")]
    assert main([*arguments, f"--address={address}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"--address {address}" in error
    assert "allowed is 127.0.0.1, [::1] or localhost" in error


def test_a_busy_port_is_named() -> None:
    with bind("127.0.0.1:0") as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AddressError, match=f"--address {address}: Address already in use"):
            bind(address)


def command(tmp_path: Path, far_end: FarEnd) -> list[str]:
    people(tmp_path)
    store = str(tmp_path / "store.sqlite")
    arguments = ["--socket", str(far_end.path), "--store", store, "--address", "127.0.0.1:0"]
    return [sys.executable, "-m", "dashboards.console", *arguments]


@contextmanager
def started(command: list[str]) -> Generator[subprocess.Popen[str]]:
    """Start a process and kill it at the end, whatever happened."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().split("console: ")[1].strip()


def entered(client: httpx.Client) -> httpx.Client:
    """Log in, as the page does."""
    origin = str(client.base_url).rstrip("/")
    who = {"name": "vic", "password": PASSWORD}
    answer = client.post("/api/login", json=who, headers={"origin": origin})
    assert answer.status_code == 200, answer.text
    return client


def test_the_process_serves_events_and_ends_cleanly_on_sigterm_while_a_browser_watches(
    tmp_path: Path, far_end: FarEnd
) -> None:
    with (
        started(command(tmp_path, far_end)) as process,
        httpx.Client(base_url=address(process)) as client,
        entered(client).stream("GET", "/events") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        data = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert any(snapshot["controller"]["answering"] for snapshot in data)
        process.terminate()
        for _ in data:
            pass  # the stream ends by itself
        assert process.wait(timeout=10) == 0


PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True)
sys.stdin.read()
"""


def test_the_process_dies_with_its_parent(tmp_path: Path, far_end: FarEnd) -> None:
    with (
        started([sys.executable, "-c", PARENT, *command(tmp_path, far_end)]) as parent,
        httpx.Client(base_url=address(parent)) as client,
        entered(client).stream("GET", "/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        parent.kill()
        assert "event: state" in list(lines)  # and then it ended: nobody else could end it
