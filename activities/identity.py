"""The nightly identity: what was published of earnings is what the ledger holds for every payee."""

import logging

from temporalio import activity

from activities.boundary import Transactions, translated
from models.queries.invariants import violations
from models.queries.invariants.earnings import EARNINGS_IDENTITY

log = logging.getLogger(__name__)


class EarningsIdentityActivities:
    """The step of the nightly check; `commerce verify` runs the same query."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    @activity.defn
    @translated
    async def check_earnings_identity(self) -> list[str]:
        """The payees and currencies that are off, in words."""
        async with self._transactions.begin() as tx:
            off = await violations(tx.session, EARNINGS_IDENTITY)
        for one in off:
            log.error("earnings identity: %s", one)
        return off
