"""The payout receiver as one object: verifies, books, settles."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from devstack.lms_standin import deliveries
from devstack.lms_standin.database import open_database, transaction
from devstack.lms_standin.deliveries import Deliveries
from devstack.payout_receiver import books
from devstack.payout_receiver.books import Books
from devstack.payout_receiver.faults import FaultBook

_SECRETS = "secrets"


class Receiver:
    """Everything the payout receiver knows."""

    def __init__(
        self, data_dir: Path, secrets: Sequence[str], webhook_url: str | None, webhook_secret: str | None
    ) -> None:
        self._db = open_database(data_dir / "payout.sqlite3", books.SCHEMA + deliveries.SCHEMA)
        self._first_secrets = tuple(secrets)
        self.books = Books(self._db)
        self.deliveries = Deliveries(self._db, webhook_url, webhook_secret)
        self.faults = FaultBook()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those set last, also over a restart, else those of the command line."""
        kept = self.books.setting(_SECRETS)
        return self._first_secrets if kept is None else tuple(kept)

    def set_secrets(self, secrets: Sequence[str]) -> None:
        """Accept events signed by any of these, and no others."""
        self.books.keep_setting(_SECRETS, list(secrets))

    def verify(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """The event when one of our secrets signed it; the library has the only say."""
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, dict(headers), json_parse=False)
                event = json.loads(body)
            except Exception:  # noqa: BLE001 - the library raises many things on garbage
                continue
            if isinstance(event, dict):
                return event
        return None

    def settle(self, payee_ref: str, currency: str, amount: int) -> dict[str, Any]:
        """Pay a payee and send `payout.settled`."""
        with transaction(self._db):
            payout = self.books.settle(payee_ref, currency, amount)
            data = {name: payout[name] for name in ("payout_id", "payee_ref", "currency", "amount")}
            self.deliveries.enqueue(payout["event_id"], "payout.settled", data)
        return payout

    def reset(self) -> None:
        """Forget everything, and use the secrets of the command line again."""
        self.faults.clear()
        with transaction(self._db):
            self.books.reset()
            self.deliveries.reset()

    def close(self) -> None:
        """Close the database."""
        self._db.close()
