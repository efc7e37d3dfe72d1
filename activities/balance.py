"""Balance transactions of the processor: taken in, posted by their category, matched with their entries.

The webhook, the daily reconciliation and a repair all come this way, so each finds what another has done.
"""

import logging

from temporalio import activity

from activities.boundary import Transaction, Transactions, translated
from domain.errors import LedgerError
from domain.event_keys import (
    captured_key,
    dispute_cause,
    order_cause,
    refund_attempt_key,
    taken_key,
    unapplied_failed_key,
    unapplied_key,
)
from domain.messages import BalanceTransactionInput
from domain.money import as_read
from domain.postings import EntryKind
from domain.reconciliation import (
    BalanceTransaction,
    Category,
    DifferenceKind,
    Observation,
    Part,
    Standing,
    compare,
    expected_cash,
    own_entries,
    unposted,
)
from integrations.payments import StripePayments
from models.queries import balance_transactions, differences, ledger, orders

log = logging.getLogger(__name__)

# A refund that failed is issued again; nobody tries more often than that.
_ATTEMPTS = range(1, 21)
_UNPOSTED = {
    Standing.UNKNOWN_CATEGORY: DifferenceKind.UNKNOWN_CATEGORY,
    Standing.UNKNOWN_ORDER: DifferenceKind.UNKNOWN_ORDER,
}


class BalanceActivities:
    """The step of the workflow that a webhook starts."""

    def __init__(self, transactions: Transactions, api: StripePayments) -> None:
        self._transactions = transactions
        self._api = api

    @activity.defn
    @translated
    async def post_balance_transaction(self, given: BalanceTransactionInput) -> str:
        """Keep a balance transaction and post what follows from it alone; returns what was done, in words.

        The entry of the money itself may still be on its way: only the reconciliation misses it.
        """
        found = await self._api.get_balance_transaction(given.transaction_id)
        async with self._transactions.begin() as tx:
            standing, seen = await take_in(tx, found)
            alarms = [one for one in seen if one.kind is not DifferenceKind.ENTRY_MISSING]
            await keep(tx, alarms, None)
        if standing is Standing.FOREIGN:
            return f"counted, not posted: {found.reporting_category} of nothing of ours"
        if alarms:
            return f"kept, not posted: {alarms[0].detail}"
        return f"taken in: {found.reporting_category} of {found.net} {found.currency} net"


async def take_in(tx: Transaction, given: BalanceTransaction) -> tuple[Standing, list[Observation]]:
    """Keep a balance transaction, post what is its own to post, match each part with its one entry.

    Returns whose it is, and how it differs from the books; differences that no longer hold are closed.
    Known facts are left as they are, so anybody may call it, at any time, again.
    """
    standing = await _standing(tx, given)
    await balance_transactions.store(tx.session, given, standing)
    if standing is Standing.FOREIGN:
        seen: list[Observation] = []
    elif standing in _UNPOSTED:
        seen = [unposted(given, _UNPOSTED[standing])]
    else:
        await _post_own(tx, given)
        seen = await _compared(tx, given)
    await differences.repaired_of(tx.session, given.id, seen, "it holds now")
    return standing, seen


async def keep(tx: Transaction, seen: list[Observation], run_id: str | None) -> list[str]:
    """Open what is new among the differences; returns the ids of all of these that are open."""
    still_open = []
    for one in seen:
        found = await differences.see(tx.session, one, run_id)
        if found is None:
            continue
        still_open.append(found.id)
        if found.fresh:
            await _alert(tx, one, found.id)
    return still_open


async def _alert(tx: Transaction, one: Observation, difference_id: str) -> None:
    log.error(
        "difference %s: %s: %s, processor %s, books %s",
        difference_id,
        one.kind,
        one.detail,
        as_read(one.expected, one.currency),
        as_read(one.found, one.currency),
    )
    if one.order_id is not None and one.kind is not DifferenceKind.UNKNOWN_ORDER:
        key = f"difference/{difference_id}"
        await orders.note(tx.session, one.order_id, key, "reconciliation_difference", f"{one.detail}.")


async def _standing(tx: Transaction, given: BalanceTransaction) -> Standing:
    if given.is_foreign:
        return Standing.FOREIGN
    if given.category is None:
        return Standing.UNKNOWN_CATEGORY
    if given.order_id is not None and not await balance_transactions.order_exists(tx.session, given.order_id):
        return Standing.UNKNOWN_ORDER
    return Standing.OURS


async def _post_own(tx: Transaction, given: BalanceTransaction) -> None:
    for draft in own_entries(given).values():
        try:
            await ledger.post(tx.session, [draft], order_id=given.order_id, effective_at=given.created)
        except LedgerError:
            # It was posted with another content. The comparison names it for an operator.
            log.exception("balance transaction %s", given.id)


async def _compared(tx: Transaction, given: BalanceTransaction) -> list[Observation]:
    own, seen = own_entries(given), list[Observation]()
    for part, cash in expected_cash(given).items():
        keys = [own[part].event_key] if part in own else await _keys(tx, given, part)
        entry_id = await balance_transactions.entry_for(tx.session, given.id, part, keys)
        found = None if entry_id is None else await balance_transactions.cash_of(tx.session, entry_id)
        seen += compare(given, part, cash, found)
    return seen


async def _keys(tx: Transaction, given: BalanceTransaction, part: Part) -> list[str]:
    """The keys under which whoever carries the order's state posts this part: by ids, never by amount."""
    match given.category:
        case Category.CHARGE:
            use = await balance_transactions.use_of_intent(tx.session, given.intent_id)
            if use is None:
                return []
            return [captured_key(use.order_id) if use.applied else unapplied_key(str(given.intent_id))]
        case Category.CHARGE_FAILURE:
            use = await balance_transactions.use_of_intent(tx.session, given.intent_id)
            if use is None:
                return []
            kept = taken_key(order_cause(use.order_id), str(EntryKind.PAYMENT_FAILED_LATE))
            return [kept if use.applied else unapplied_failed_key(str(given.intent_id))]
        case Category.REFUND | Category.REFUND_FAILURE:
            refund_id = await balance_transactions.refund_of(tx.session, given.source, given.refund_id)
            if refund_id is None:
                return []
            step = "settled" if given.category is Category.REFUND else "failed"
            return [refund_attempt_key(refund_id, step, attempt) for attempt in _ATTEMPTS]
        case Category.DISPUTE:
            return [taken_key(_dispute(given), "opened" if part is Part.PRINCIPAL else "fee")]
        case Category.DISPUTE_REVERSAL:
            return [taken_key(_dispute(given), "won" if part is Part.PRINCIPAL else "fee_refunded")]
        case _:
            return []


def _dispute(given: BalanceTransaction) -> str:
    return dispute_cause(str(given.source))
