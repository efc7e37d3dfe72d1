"""Secrets and personal data that are planted while tests run, and looked for in what the run left behind.

The test that plants looks at once; each stack's ledger is read before its database goes; and when every test
process has ended, the process that leads the run looks through all that is left (`leaks_of_run`).
"""

import base64
import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import ahocorasick
import psycopg

from devstack.credentials import Credentials
from devstack.paths import DataDir
from tests.harness.servers import run_directory

# What every learner of `Shop.learner` has.
PERSONAL = rb"learner\.[0-9a-f]{12}@example\.com"
# In every stored payload of a history.
SEALED = b"binary/encrypted"
# Parts that say something as soon as they run.
SPEAKING = {"gateway", "worker", "postgres"}


class Canaries:
    """What was planted in this run, by all its test processes: values that nobody may find later, and marks
    that must be found, because else the search sees nothing."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.personal: dict[str, str] = {}
        self.marks: dict[str, str] = {}

    @property
    def planted(self) -> dict[str, str]:
        """What nobody may find."""
        return self.secrets | self.personal

    def secret(self, name: str, value: str) -> str:
        """A secret."""
        return self._plant("secrets", name, value)

    def person(self, name: str, value: str) -> str:
        """Something of a person."""
        return self._plant("personal", name, value)

    def mark(self, name: str, value: str) -> str:
        """What Temporal's files must hold."""
        return self._plant("marks", name, value)

    def _plant(self, kind: str, name: str, value: str) -> str:
        getattr(self, kind)[name] = value
        path = _planted_directory() / f"{os.getpid()}.jsonl"
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([kind, name, value]) + "\n")
        return value

    @classmethod
    def of_run(cls) -> "Canaries":
        """Those of all test processes."""
        found = cls()
        for path in sorted(_planted_directory().glob("*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines():
                kind, name, value = json.loads(line)
                getattr(found, kind)[f"{name} ({path.stem})"] = value
        return found


canaries = Canaries()


def _planted_directory() -> Path:
    directory = run_directory() / "planted"
    directory.mkdir(exist_ok=True)
    return directory


def secrets_of(given: Credentials) -> dict[str, str]:
    """What a stack's processes were given to keep."""
    whole = {
        "database password": given.database.app,
        "Stripe's webhook secret": given.stripe_webhook_secret,
        "the LMS's webhook secret": given.lms_webhook_secret,
        "LMS token": given.lms_token,
        "the payout system's webhook secret": given.payout_webhook_secret,
        "secret of outbound events": given.payout_receiver_secret,
        "key that seals": given.secrets_key.split(":", 1)[1],
    }
    return whole | {
        f"signing key {number}": part
        for number, part in enumerate(re.findall(r'"d": ?"([^"]+)"', given.jwt_signing_keys))
    }


def stacks() -> list[DataDir]:
    """Every stack that this run has started with `stack`, `make_stack` or `own_stack`."""
    found = (DataDir(path.parent) for path in (run_directory() / "stacks").glob("*/credentials.json"))
    return sorted(found, key=lambda one: one.root)


def log_files() -> list[Path]:
    """Logs of every part of every stack: gateways, workers, stand-ins, PostgreSQL, Temporal."""
    run = run_directory()
    return sorted(
        path for pattern in ("*.log", "*/logs/*.log*", "stacks/*/logs/*.log*") for path in run.glob(pattern)
    )


def temporal_files() -> list[Path]:
    """Where Temporal keeps histories and its visibility store: the run's, and stacks' own."""
    run = run_directory()
    return sorted(
        path for pattern in ("*", "stacks/*") for path in run.glob(f"{pattern}/temporal/temporal.db*")
    )


def _written(value: str) -> set[bytes]:
    """A value as files hold it: as it is, escaped in JSON, within base64 (as JSON keeps payloads)."""
    plain = value.encode()
    found = {plain, json.dumps(value)[1:-1].encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()}
    for ahead in range(3):
        # Without the characters at the ends, which also depend on the neighbours.
        encoded = base64.b64encode(b"\0" * ahead + plain)
        kept = encoded[(0, 2, 3)[ahead] : len(encoded) - (0 if (ahead + len(plain)) % 3 == 0 else 4)]
        if len(kept) >= 12:
            found.add(kept)
    return found


def found_in(paths: Iterable[Path], values: Mapping[str, str]) -> list[str]:
    """Which values, and which learners' addresses, stand in which files."""
    wanted = ahocorasick.Automaton()
    for name, value in values.items():
        for form in _written(value):
            wanted.add_word(form.decode("latin-1"), name)
    wanted.make_automaton()
    found = set()
    for path in paths:
        content = path.read_bytes()
        names = {name for _, name in wanted.iter(content.decode("latin-1"))} if values else set()
        names |= {f"a learner's address ({match.decode()})" for match in re.findall(PERSONAL, content)}
        found |= {f"{name} in {path.relative_to(run_directory())}" for name in names}
    return sorted(found)


def found_in_ledger(database_url: str, values: Mapping[str, str]) -> list[str]:
    """Which values, and which learners' addresses, stand in the ledger of a database."""
    with psycopg.connect(database_url.replace("+psycopg", "", 1)) as connection:
        rows = connection.execute(
            "SELECT e::text FROM journal_entry e UNION ALL SELECT p::text FROM posting p "
            "UNION ALL SELECT d::text FROM period_change d UNION ALL SELECT s::text FROM sealed_entry s"
        ).fetchall()
    content = "\n".join(row[0] for row in rows).encode()
    found = [name for name, value in values.items() if value.encode() in content]
    return [f"{name} in the ledger" for name in [*found, *re.findall(PERSONAL, content)]]


def seeing(marks: Mapping[str, str]) -> list[str]:
    """Why a search that finds nothing proves nothing: logs that are empty, marks that Temporal's files must
    hold and don't."""
    logs = {path.stem for path in log_files() if path.stat().st_size}
    silent = [f"nothing was logged by {part}" for part in sorted(SPEAKING - logs)]
    histories = temporal_files()
    unseen = [
        name
        for name, value in {"a sealed payload": SEALED, **{n: v.encode() for n, v in marks.items()}}.items()
        if not any(_holds(path, value) for path in histories)
    ]
    return [*silent, *(f"not found in {len(histories)} files of Temporal: {name}" for name in unseen)]


def _holds(path: Path, value: bytes) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(value) >= 0


def leaks_of_run() -> list[str]:
    """All that the run left where it may not stand, and why the search may have seen nothing. Called when all
    test processes have ended, before the run's directory goes."""
    of_run = Canaries.of_run()
    if not of_run.planted:
        return []
    secrets = {
        f"{name} of {stack.root.name}": value
        for stack in stacks()
        for name, value in secrets_of(Credentials.load_or_generate(stack.credentials)).items()
    }
    found = found_in([*log_files(), *temporal_files()], of_run.planted | secrets)
    return [*found, *seeing(of_run.marks)]
