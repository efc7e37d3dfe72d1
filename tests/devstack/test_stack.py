"""The embedded stack starts in order, keeps its data, and deals with the crash of a part."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import psutil
import psycopg
import pytest

from devstack.errors import DataDirInUseError, PortTakenError, StackError
from devstack.postgres import SUPERUSER
from devstack.settings import StackSettings
from tests.harness.product import RunningStack

Start = Callable[..., RunningStack]
SERVERS = frozenset({"postgres"})


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql", 1)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        content: bytes = answer.read()
    return content


def _lives(process: psutil.Process) -> bool:
    try:
        # Not every init of a container buries the dead.
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _eventually(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_whole_stack_is_up_in_ten_seconds_and_down_in_eight(settings: StackSettings, start: Start) -> None:
    began = time.monotonic()
    running = start(settings)
    up = time.monotonic() - began
    parts = ("postgres", "temporal", "stripe", "lms", "payout", "gateway", "worker")
    processes = [psutil.Process(running.pid(part)) for part in parts]
    assert _get(running.urls.gateway)
    assert b"<!doctype html>" in _get(running.urls.temporal_ui)
    began = time.monotonic()
    running.stop()
    down = time.monotonic() - began
    assert up < 10
    assert down < 8
    assert not any(_lives(process) for process in processes)


def test_part_that_ignores_the_signal_does_not_delay_the_end(settings: StackSettings, start: Start) -> None:
    stubborn = "trap '' TERM; touch $WORKER_READY_FILE; while :; do sleep 60 & wait; done"
    commands = {**settings.commands, "worker": ("/bin/sh", "-c", stubborn)}
    running = start(replace(settings, commands=commands), frozenset({"postgres", "temporal", "worker"}))
    family = psutil.Process(running.pid("worker")).children()
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 8
    assert not any(_lives(process) for process in family)


def test_data_and_passwords_survive_a_restart(settings: StackSettings, start: Start) -> None:
    first = start(settings, SERVERS)
    with psycopg.connect(_plain(first.urls.owner_url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()
    second = start(settings, SERVERS)
    assert second.urls == first.urls
    with psycopg.connect(_plain(second.urls.owner_url)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_postgres_is_durable_and_loopback_only(settings: StackSettings, start: Start) -> None:
    running = start(settings, SERVERS)
    passwords = running.credentials.database
    superuser = f"{SUPERUSER}:{passwords.superuser}"
    url = running.urls.database_url.replace(f"commerce_app:{passwords.app}", superuser)
    with psycopg.connect(_plain(url)) as connection:
        shown = {
            name: connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            for name in (
                "fsync",
                "listen_addresses",
                "unix_socket_directories",
                "server_encoding",
                "TimeZone",
            )
        }
    assert shown == {
        "fsync": ("on",),
        "listen_addresses": ("127.0.0.1",),
        "unix_socket_directories": ("",),
        "server_encoding": ("UTF8",),
        "TimeZone": ("UTC",),
    }


def test_database_refuses_a_wrong_password(settings: StackSettings, start: Start) -> None:
    running = start(settings, SERVERS)
    url = _plain(running.urls.database_url)
    wrong = url.replace(running.credentials.database.app, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_credentials_are_readable_by_the_owner_alone(settings: StackSettings, start: Start) -> None:
    start(settings, SERVERS)
    assert (settings.data_dir / "credentials.json").stat().st_mode & 0o777 == 0o600


def test_taken_port_names_port_setting_and_holder(settings: StackSettings, start: Start) -> None:
    start(settings, SERVERS)
    other = replace(settings, data_dir=settings.data_dir.with_name("other_stack"))
    with pytest.raises(PortTakenError) as caught:
        start(other, SERVERS)
    message = str(caught.value)
    assert str(settings.ports.postgres) in message
    assert "POSTGRES_PORT" in message
    assert "postgres (pid " in message


def test_second_launcher_on_the_same_directory_is_told_who_has_it(
    settings: StackSettings, start: Start
) -> None:
    start(settings, SERVERS)
    with pytest.raises(DataDirInUseError, match=rf"pid {os.getpid()}\) works on .*COMMERCE_DATA_DIR"):
        start(settings, SERVERS)


def test_start_works_after_kill_9_of_postgres(settings: StackSettings, start: Start) -> None:
    running = start(settings, SERVERS)
    with psycopg.connect(_plain(running.urls.owner_url)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS answer")
    running.kill_blocking("postgres")
    running.restart_blocking("postgres")
    with psycopg.connect(_plain(running.urls.owner_url)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (1,)


def test_pid_file_that_names_another_living_process_does_not_prevent_a_start(
    settings: StackSettings, start: Start
) -> None:
    running = start(settings, SERVERS)
    pid_file = settings.data_dir / "postgres" / "data" / "postmaster.pid"
    text = pid_file.read_text()
    owner = pid_file.stat()
    running.kill_blocking("postgres")
    running.stop()
    # As after a crash of the machine: the number belongs to somebody else by now.
    pid_file.write_text(text.replace(text.split("\n", 1)[0], str(os.getpid()), 1))
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    again = start(settings, SERVERS)
    assert again.is_running("postgres")


def test_crashed_gateway_is_reported_and_started_again(settings: StackSettings, start: Start) -> None:
    running = start(settings, frozenset({"gateway"}))
    crashed = running.pid("gateway")
    os.kill(crashed, signal.SIGKILL)
    _eventually(lambda: running.pid("gateway") != crashed and running.is_running("gateway"))
    _eventually(lambda: "gateway is back" in running.log_of("stack"))
    assert "gateway ended by itself (killed by SIGKILL); starting it again" in running.log_of("stack")
    assert _get(running.urls.gateway) == str(running.pid("gateway")).encode()


def test_killed_part_stays_down_until_restarted(settings: StackSettings, start: Start) -> None:
    running = start(settings, frozenset({"worker"}))
    running.kill_blocking("worker")
    time.sleep(0.5)
    assert not running.is_running("worker")
    running.restart_blocking("worker")
    assert running.is_running("worker")


@pytest.mark.parametrize("part", ["postgres", "temporal"])
def test_crash_of_a_server_ends_the_stack_with_a_reason(
    settings: StackSettings, start: Start, part: str
) -> None:
    running = start(settings, frozenset({part}))
    os.kill(running.pid(part), signal.SIGKILL)
    failure = running.wait_for_failure()
    assert isinstance(failure, StackError)
    assert f"{part} ended by itself (killed by SIGKILL)" in str(failure)


def test_part_that_can_not_start_is_named_with_its_last_words(settings: StackSettings, start: Start) -> None:
    commands = {**settings.commands, "gateway": ("/bin/sh", "-c", "echo no such table; exit 3")}
    with pytest.raises(StackError, match=r"gateway did not start \(exit code 3\).*\n  no such table"):
        start(replace(settings, commands=commands), frozenset({"gateway", "worker"}))


def test_missing_program_and_missing_library_are_named(settings: StackSettings, start: Start) -> None:
    commands = {**settings.commands, "gateway": ("/nowhere/gateway",)}
    with pytest.raises(StackError, match="can't run /nowhere/gateway: No such file or directory"):
        start(replace(settings, commands=commands), frozenset({"gateway"}))
    words = "x: error while loading shared libraries: libz.so.1: cannot open shared object file"
    commands["gateway"] = ("/bin/sh", "-c", f"echo '{words}'; exit 127")
    with pytest.raises(StackError, match=r"gateway needs the library libz\.so\.1"):
        start(replace(settings, commands=commands), frozenset({"gateway"}))


def test_temporal_keeps_workflows_for_a_week_and_knows_our_attributes(
    settings: StackSettings, start: Start
) -> None:
    running = start(settings, frozenset({"temporal"}))
    running.restart_blocking("temporal")
    config = _namespace(running.urls.temporal)
    assert config["retention"] == 7 * 24 * 3600
    expected = {"OrderStatus", "OrderNumber", "LmsUserId", "CourseId", "PaymentIntentId"}
    assert config["attributes"] == expected


def _namespace(address: str) -> dict[str, object]:
    import asyncio

    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.client import Client

    async def describe() -> dict[str, object]:
        client = await Client.connect(address)
        request = DescribeNamespaceRequest(namespace="default")
        config = (await client.workflow_service.describe_namespace(request)).config
        return {
            "retention": config.workflow_execution_retention_ttl.seconds,
            "attributes": set(config.custom_search_attribute_aliases.values()),
        }

    return asyncio.run(describe())


def test_environment_of_the_product_has_no_owner(settings: StackSettings, start: Start) -> None:
    running = start(settings, SERVERS)
    assert "DATABASE_OWNER_URL" not in running.env
    assert f"//{SUPERUSER}:" not in running.env["DATABASE_URL"]
    assert "//commerce_app:" in running.env["DATABASE_URL"]
