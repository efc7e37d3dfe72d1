"""Earnings of payees from one line: accrued, released, reversed, reinstated, frozen, reassigned."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from domain.accounts import Account
from domain.allocation import ticks_reversed
from domain.errors import Conflict, InvalidInput, LedgerError
from domain.event_keys import accrued_key, reassigned_key, released_key
from domain.line_ledger import LineLedger
from domain.line_parts import PayeeEarning, Presentation, SplitRow
from domain.money import as_read
from domain.outcomes import Outcome
from domain.postings import AccountKey, Bucket, Earning, EarningType, EntryKind, drafted
from domain.splits import ShareKind, allocate, basis_of


def accrue(line: LineLedger, prior: Mapping[str, int] | None = None) -> Outcome:
    """Divide the line's basis, persist the rows, and give each payee the share that refunds have left.

    `prior` is the volume that each payee had before (`volume_of` of all earlier lines, in minor units of the
    line's currency); tiers go on from there. A line that has rows already is left as it is.
    """
    if line.rows:
        return Outcome(lines=(line,))
    rows = split_rows(line, prior)
    volumes = tuple((payee, (prior or {}).get(payee, 0)) for payee in line.split.tiered_payees)
    with_rows = replace(line, rows=rows, volumes=volumes)
    return settled(give(with_rows, EntryKind.SPLIT_ACCRUED, accrued_key(line.line)))


def split_rows(line: LineLedger, prior: Mapping[str, int] | None = None) -> tuple[SplitRow, ...]:
    """How the line's rule divides its basis; each payee holds its own row."""
    basis = basis_of(line.net, line.split, platform_discount=line.platform_discount)
    return tuple(
        SplitRow(row.kind, row.amount, ((row.payee, row.amount),))
        for row in allocate(basis, line.split, prior=prior)
    )


def volume_of(line: LineLedger) -> dict[str, int]:
    """What the line counts for the volume of each payee with a share in it, in minor units.

    It is what the shares were taken of: the basis less affiliates and fixed amounts, less what is reversed.
    """
    divided = sum(
        sum(standing)
        for row, standing in zip(line.rows, _standing_by_row(line), strict=True)
        if row.kind in (ShareKind.SHARE, ShareKind.PLATFORM)
    )
    return {share.payee: divided for share in line.split.shares} if line.rows else {}


def give(line: LineLedger, kind: EntryKind, event_key: str) -> Outcome:
    """Post what payees should have above what they have; into held."""
    moved: dict[AccountKey, int] = {}
    earnings: list[Earning] = []
    payees = dict(_by_payee(line))
    for payee, missing in _missing(line).items():
        if missing <= 0:
            continue
        payees[payee] = replace(payees[payee], accrued=payees[payee].accrued + missing)
        moved[Account.PAYEE_HELD, payee] = -missing
        earnings.append(_earning(line, EarningType.ACCRUED, payees[payee], missing, entry_key=event_key))
        if line.frozen:
            earnings.append(_earning(line, EarningType.FROZEN, payees[payee], missing, entry_key=event_key))
    moved[_share_account(line), None] = -sum(moved.values())
    after = replace(line, payees=tuple(payees.values()))
    return Outcome(drafted(kind, event_key, {line.currency: moved}), tuple(earnings), (after,))


def take_back(line: LineLedger, event_key: str) -> Outcome:
    """Post what payees have above what they should have; out of held first, then out of released."""
    moved: dict[AccountKey, int] = {}
    earnings: list[Earning] = []
    payees = dict(_by_payee(line))
    for payee, missing in _missing(line).items():
        if missing >= 0:
            continue
        held = min(-missing, payees[payee].held)
        released = -missing - held
        if held:
            payees[payee] = replace(payees[payee], reversed_held=payees[payee].reversed_held + held)
            moved[Account.PAYEE_HELD, payee] = held
            earnings.append(
                _earning(
                    line,
                    EarningType.REVERSED,
                    payees[payee],
                    held,
                    bucket=Bucket.HELD,
                    entry_key=event_key,
                )
            )
        if released:
            payees[payee] = replace(
                payees[payee], reversed_released=payees[payee].reversed_released + released
            )
            moved[Account.PAYEE_RELEASED, payee] = released
            earnings.append(
                _earning(
                    line,
                    EarningType.REVERSED,
                    payees[payee],
                    released,
                    bucket=Bucket.RELEASED,
                    entry_key=event_key,
                )
            )
    moved[_share_account(line), None] = -sum(moved.values())
    after = replace(line, payees=tuple(payees.values()))
    entries = drafted(EntryKind.SPLIT_REVERSED, event_key, {line.currency: moved})
    return Outcome(entries, tuple(earnings), (after,))


def release(line: LineLedger) -> Outcome:
    """Hand what is held to the payout system. Nothing moves while a dispute freezes the line.

    The caller sees to it that the hold has passed and that no refund is under way.
    """
    if line.frozen or not any(payee.held for payee in line.payees):
        return Outcome(lines=(line,))
    event_key = released_key(line.line, line.releases + 1)
    moved: dict[AccountKey, int] = {}
    earnings: list[Earning] = []
    payees: list[PayeeEarning] = []
    for payee in line.payees:
        payees.append(replace(payee, released=payee.released + payee.held))
        if payee.held:
            moved[Account.PAYEE_HELD, payee.payee] = payee.held
            moved[Account.PAYEE_RELEASED, payee.payee] = -payee.held
            earnings.append(_earning(line, EarningType.RELEASED, payee, payee.held, entry_key=event_key))
    after = replace(line, payees=tuple(payees), releases=line.releases + 1)
    entries = drafted(EntryKind.EARNING_RELEASED, event_key, {line.currency: moved})
    return Outcome(entries, tuple(earnings), (after,))


def reassign(correction_id: str, line: LineLedger, *, amount: int, from_payee: str, to_payee: str) -> Outcome:
    """Move `amount` minor units, booked to the wrong payee: reversed there, accrued here.

    Raises Conflict when the payee has less, or when a part is asked of a share that refunds have already
    lowered (all of what is left can always be moved).
    """
    if amount <= 0 or from_payee == to_payee:
        raise InvalidInput("a positive amount goes from one payee to another")
    if correction_id in line.corrections:
        return Outcome(lines=(line,))
    left = amount
    rows: list[SplitRow] = []
    for row, standing in zip(line.rows, _standing_by_row(line), strict=True):
        holders: list[tuple[str, int]] = []
        for (payee, original), stands in zip(row.holders, standing, strict=True):
            moving = min(left, stands) if payee == from_payee and row.kind is not ShareKind.PLATFORM else 0
            left -= moving
            if moving < stands and original != stands and moving:
                raise Conflict(
                    f"{payee}'s share was lowered by refunds: move all of it", code="share_lowered"
                )
            kept, given = (0, original) if moving == stands and moving else (original - moving, moving)
            holders += [(name, part) for name, part in ((payee, kept), (to_payee, given)) if part]
        rows.append(replace(row, holders=tuple(holders)))
    if left:
        raise Conflict(
            f"{from_payee} has less than {as_read(amount, line.currency)} of this line",
            code="share_too_small",
        )
    moved = replace(line, rows=tuple(rows), corrections=(*line.corrections, correction_id))
    reversal = take_back(moved, reassigned_key(line.line, correction_id, "reversed"))
    key = reassigned_key(line.line, correction_id, "accrued")
    accrual = give(reversal.lines[0], EntryKind.SPLIT_ACCRUED, key)
    return settled(
        Outcome(reversal.entries + accrual.entries, reversal.earnings + accrual.earnings, accrual.lines)
    )


def settled(outcome: Outcome) -> Outcome:
    """The outcome, if its payees now have what their rows come to.

    Raises LedgerError otherwise: a reversal that would give something back, or a reinstatement that would
    take something, is a broken rule of division.
    """
    for line in outcome.lines:
        off = {payee: missing for payee, missing in _missing(line).items() if missing}
        if off:
            raise LedgerError(f"line {line.line}: payees are off by {off}")
    return outcome


def freezing(line: LineLedger, kind: EarningType, entry_key: str) -> list[Earning]:
    """Tell of every held earning of the line that it is frozen, or free again."""
    return [
        _earning(line, kind, payee, payee.held, entry_key=entry_key) for payee in line.payees if payee.held
    ]


def _missing(line: LineLedger) -> dict[str, int]:
    """Per payee: what the rows less what is reversed come to, minus what the payee has at present."""
    missing = {payee.payee: -payee.standing for payee in line.payees}
    for row, standing in zip(line.rows, _standing_by_row(line), strict=True):
        if row.kind is ShareKind.PLATFORM:
            continue
        for (payee, _), stands in zip(row.holders, standing, strict=True):
            missing[payee] = missing.get(payee, 0) + stands
    return missing


def _standing_by_row(line: LineLedger) -> Iterable[list[int]]:
    """Per row, what each of its holders keeps after the reversals so far."""
    reversed_rows = ticks_reversed([row.amount for row in line.rows], line.basis_reversed)
    for row, taken in zip(line.rows, reversed_rows, strict=True):
        amounts = [amount for _, amount in row.holders]
        gone = ticks_reversed(amounts, taken)
        yield [amount - part for amount, part in zip(amounts, gone, strict=True)]


def _by_payee(line: LineLedger) -> dict[str, PayeeEarning]:
    """Earnings by payee; all who hold a part of a row are there."""
    known = {payee.payee: payee for payee in line.payees}
    named = [payee for row in line.rows if row.kind is not ShareKind.PLATFORM for payee, _ in row.holders]
    return known | {payee: PayeeEarning(payee) for payee in named if payee not in known}


def _share_account(line: LineLedger) -> Account:
    """An agent shows sales net of what payees earn."""
    agent = line.presentation is Presentation.AGENT
    return Account.COURSE_SALES if agent else Account.REVENUE_SHARE


def _earning(
    line: LineLedger,
    kind: EarningType,
    payee: PayeeEarning,
    amount: int,
    *,
    entry_key: str,
    bucket: Bucket | None = None,
) -> Earning:
    return Earning(
        kind, payee.payee, line.line, line.currency, amount, bucket, line.basis, payee.reversed, entry_key
    )
