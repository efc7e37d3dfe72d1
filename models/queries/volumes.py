"""Volumes of payees: what their tiers have counted."""

from collections.abc import Iterable

from sqlalchemy import text

from domain.ledger import LineLedger, volume_of
from models.database import Session
from models.queries import payees


async def keep(session: Session, state: LineLedger) -> None:
    """Have the line count for its payees as it stands now; a reversal lowers what later lines find."""
    rows = [
        {"line_id": state.line, "payee": payee, "currency": state.currency, "amount": amount}
        for payee, amount in volume_of(state).items()
    ]
    if rows:
        await session.execute(
            text(
                "INSERT INTO payee_volume (line_id, payee_ref, currency, amount) "
                "VALUES (:line_id, :payee, :currency, :amount) "
                "ON CONFLICT (line_id, payee_ref) DO UPDATE SET amount = excluded.amount"
            ),
            rows,
        )


async def before(session: Session, lines: Iterable[LineLedger]) -> dict[str, int]:
    """The volume so far of every payee whose share in these lines has tiers, minor units.

    The payees stay locked until the commit: of two lines that accrue at once, the second counts the first.
    """
    wanted = {(payee, line.currency) for line in lines for payee in line.split.tiered_payees}
    volumes: dict[str, int] = {}
    for payee, currency in sorted(wanted):
        await payees.lock(session, payee, currency)
        volumes[payee] = await _volume(session, payee, currency)
    return volumes


async def _volume(session: Session, payee: str, currency: str) -> int:
    return int(
        (
            await session.execute(
                text(
                    "SELECT coalesce(sum(amount), 0) FROM payee_volume "
                    "WHERE payee_ref = :payee AND currency = :currency"
                ),
                {"payee": payee, "currency": currency},
            )
        ).scalar_one()
    )
