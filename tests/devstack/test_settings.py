"""What the user sets goes before the stack's own choice, and mistakes are named."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from config import DEVELOPMENT_STRIPE_KEY, Settings
from devstack.credentials import Credentials
from devstack.environment import product_environment, urls_of
from devstack.errors import StackError
from devstack.logs import LogSink
from devstack.parts import PartsBuilder
from devstack.paths import DataDir
from devstack.ports import Ports, require_free
from devstack.settings import External, StackSettings

SERVERS = External(
    "postgresql+psycopg://app@x/commerce", "postgresql+psycopg://owner@x/commerce", "x:7233", "n"
)
REAL_STRIPE = {
    "STRIPE_SECRET_KEY": "sk_test_mine",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_mine",
    "STRIPE_WEBHOOK_SECRET": "whsec_mine",
}


def _settings(directory: Path, environment: Mapping[str, str]) -> StackSettings:
    return StackSettings(directory / ".commerce", Ports(), environment, external=SERVERS)


def _environment(settings: StackSettings) -> dict[str, str]:
    return product_environment(settings, Credentials.generate(), SERVERS, urls_of(settings, SERVERS))


def _standins(settings: StackSettings) -> set[str]:
    layout, credentials = DataDir(settings.data_dir), Credentials.generate()
    urls = urls_of(settings, SERVERS)
    env = product_environment(settings, credentials, SERVERS, urls)
    builder = PartsBuilder(settings, layout, credentials, urls, env, LogSink())
    return {service.name for service in builder.standins()}


def test_defaults_are_all_that_the_product_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(tmp_path, {})
    for name, value in _environment(settings).items():
        monkeypatch.setenv(name, value)
    read = Settings(_env_file=None)
    assert read.commerce_env == "development"
    assert read.stripe_api_base == "http://127.0.0.1:12111"
    assert read.lms_base_url == "http://127.0.0.1:8090"
    assert _standins(settings) == {"stripe", "lms", "payout"}


def test_real_keys_leave_the_standins_out(tmp_path: Path) -> None:
    lms = {"LMS_BASE_URL": "https://lms.example.com", "LMS_KIND": "moodle", "LMS_TOKEN": "t"}
    settings = _settings(tmp_path, {**REAL_STRIPE, **lms, "LMS_WEBHOOK_SECRET": "whsec_lms"})
    env = _environment(settings)
    assert _standins(settings) == {"payout"}
    assert "STRIPE_API_BASE" not in env
    assert env["STRIPE_SECRET_KEY"] == "sk_test_mine"
    assert env["LMS_KIND"] == "moodle"


def test_development_key_still_means_the_standin(tmp_path: Path) -> None:
    assert "stripe" in _standins(_settings(tmp_path, {"STRIPE_SECRET_KEY": DEVELOPMENT_STRIPE_KEY}))


def test_half_of_a_real_account_is_refused(tmp_path: Path) -> None:
    settings = _settings(tmp_path, {"STRIPE_SECRET_KEY": "sk_live_mine"})
    with pytest.raises(StackError, match="STRIPE_PUBLISHABLE_KEY and STRIPE_WEBHOOK_SECRET must be set"):
        _environment(settings)


def test_servers_elsewhere_never_reach_an_embedded_product(tmp_path: Path) -> None:
    elsewhere = {
        "DATABASE_URL": "postgresql+psycopg://production",
        "DATABASE_OWNER_URL": "postgresql+psycopg://owner@production",
        "TEMPORAL_ADDRESS": "cloud:7233",
        "TEMPORAL_API_KEY": "key",
    }
    env = _environment(_settings(tmp_path, elsewhere))
    assert env["DATABASE_URL"] == SERVERS.database_url
    assert env["TEMPORAL_ADDRESS"] == "x:7233"
    assert not {"DATABASE_OWNER_URL", "TEMPORAL_API_KEY"} & set(env)


def test_loopback_is_never_asked_through_a_proxy(tmp_path: Path) -> None:
    env = _environment(_settings(tmp_path, {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "example.com"}))
    assert env["NO_PROXY"] == env["no_proxy"] == "example.com,127.0.0.1,localhost"


def test_environment_goes_before_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("GATEWAY_PORT=8100\nPOSTGRES_PORT=5555\nCOMMERCE_DATA_DIR=data\n")
    monkeypatch.setenv("GATEWAY_PORT", "8200")
    monkeypatch.delenv("COMMERCE_DATA_DIR", raising=False)
    settings = StackSettings.from_environment(tmp_path)
    assert (settings.ports.gateway, settings.ports.postgres) == (8200, 5555)
    assert settings.data_dir == tmp_path / "data"


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1"])
def test_port_that_is_none_is_named(value: str) -> None:
    with pytest.raises(StackError, match="GATEWAY_PORT is"):
        Ports.from_environment({"GATEWAY_PORT": value})


def test_port_that_is_set_twice_is_named() -> None:
    taken = Ports.free().gateway
    with pytest.raises(StackError, match=f"port {taken} is set twice: GATEWAY_PORT and PAYOUT_PORT"):
        require_free({"gateway": taken, "payout": taken})


def test_credentials_are_made_once_and_fit_the_product(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = Credentials.load_or_generate(path)
    assert Credentials.load_or_generate(path) == made
    key = json.loads(made.jwt_signing_keys)[0]
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    assert {"kid", "x", "d"} <= set(key)


def test_copied_clone_does_not_share_the_database(tmp_path: Path) -> None:
    first, copy = DataDir(tmp_path / "first"), DataDir(tmp_path / "copy")
    base = tmp_path / "outside"
    (base / "postgres").mkdir(parents=True)
    (base / "data-directory").write_text(str(first.root))
    for layout in (first, copy):
        layout.create()
        layout.postgres.symlink_to(base / "postgres")
    assert first.linked_base() == base
    assert copy.linked_base() is None
    moved = _rename(first, tmp_path / "moved")
    assert moved.linked_base() == base


def _rename(layout: DataDir, root: Path) -> DataDir:
    layout.root.rename(root)
    return DataDir(root)
