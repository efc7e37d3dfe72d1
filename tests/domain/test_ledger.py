"""The ledger's events, one by one: what is posted, and what is refused."""

import pytest

from domain.accounts import Account, Side, Sub
from domain.errors import Conflict, CurrencyMismatch, InvalidInput, LedgerError
from domain.ledger import (
    EarningType,
    EntryDraft,
    EntryKind,
    LineLedger,
    NothingLeft,
    Outcome,
    Posting,
    Trigger,
    cancel_refund,
    capture,
    convert_settlement,
    fail_late,
    fail_refund,
    fail_unapplied,
    grant_goodwill,
    initiate_refund,
    lose_dispute,
    open_dispute,
    plan_refund,
    processor_fee,
    reassign,
    recognize,
    refund_unapplied,
    release,
    settle_payout,
    settle_refund,
    unapply_payment,
    void_refund,
    win_dispute,
    write_off_payee,
)
from domain.money import Money
from tests.domain.books import Books, line

CASH = Account.PROCESSOR_CLEARING


def posting(amount, account=CASH, sub=None, currency="EUR"):
    return Posting(account, sub, currency, amount)


# --- entries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "postings",
    [
        (),
        (posting(1),),
        (posting(1), posting(-2, Account.BANK)),
        (posting(1), posting(-1, Account.BANK, currency="USD")),
    ],
)
def test_an_entry_that_does_not_balance_is_refused(postings):
    with pytest.raises(LedgerError):
        EntryDraft(EntryKind.PROCESSOR_FEE, "key", postings)


@pytest.mark.parametrize(
    ("account", "sub", "amount"),
    [(CASH, None, 0), (CASH, "L1", 5), (Account.PAYEE_HELD, None, 5), (CASH, None, 1.5), (CASH, None, True)],
)
def test_a_posting_that_does_not_fit_its_account_is_refused(account, sub, amount):
    with pytest.raises(LedgerError):
        posting(amount, account, sub)


def test_every_account_says_what_it_is():
    for account in Account:
        assert account.title
        assert account.normal_side in Side
        assert account.sub in Sub
        assert len(account) == 4


# --- capture and recognition ----------------------------------------------------------------------


def test_keys_are_named_after_the_business_fact():
    captured = capture("O1", [line()])
    recognized = recognize(captured.lines[0])
    released = release(recognized.lines[0])
    refunded = initiate_refund("R1", released.lines)
    assert [e.event_key for o in (captured, recognized, released, refunded) for e in o.entries] == [
        "order:O1:captured",
        "line:L1:recognized",
        "line:L1:accrued",
        "line:L1:released",
        "refund:R1:initiated",
        "refund:R1:reversed:line:L1",
    ]


@pytest.mark.parametrize(
    ("recognition", "triggers"),
    [
        ("on_payment", set()),
        ("on_grant", {Trigger.GRANT, Trigger.COMPLETION, Trigger.DEADLINE}),
        ("on_completion", {Trigger.COMPLETION, Trigger.DEADLINE}),
    ],
)
def test_revenue_waits_for_its_trigger(recognition, triggers):
    captured = capture("O1", [line(recognition=recognition)])
    (state,) = captured.lines
    assert state.recognized == (recognition == "on_payment")
    assert {trigger for trigger in Trigger if recognize(state, trigger).entries} == triggers


def test_nothing_is_recognized_before_payment():
    assert recognize(line()) == Outcome(lines=(line(),))


def test_a_refund_before_recognition_lowers_what_accrues():
    books = Books(line())
    books.post(initiate_refund("R1", books.order, amount=5355))  # half
    books.post(recognize(books["L1"]))
    books.check()
    assert books.nonzero() == {
        "1010": 10_710,
        "2310": -5355,
        "2120/DE": -855,
        "4010": -10_000,
        "4020": 1000,
        "4030": 4500,
        "5010": 3150,
        "2210/ins_a": -1800,
        "2210/ins_b": -1350,
    }


def test_store_credit_is_tender():
    books = Books(line(), credit_applied=710)
    assert books.balance(CASH) == 10_000
    assert books.balance(Account.STORE_CREDIT, "ann") == 710
    with pytest.raises(InvalidInput):
        Books(line(), credit_applied=10_711)


def test_platform_funded_discount_leaves_payees_their_list_share():
    split = {"shares": [{"payee": "ins_a", "bps": 7000}], "platform_discount": "absorbed"}
    books = Books(line(net=6000, tax={}, split=split, platform_discount=4000))
    books.post(recognize(books["L1"]))
    assert books.balance(Account.PAYEE_HELD, "ins_a") == -7000
    books.post(initiate_refund("R1", books.order, amount=3000))
    assert books.balance(Account.PAYEE_HELD, "ins_a") == -3500
    books.post(initiate_refund("R2", books.order))
    books.check()
    assert books.balance(Account.PAYEE_HELD, "ins_a") == 0


def test_a_line_given_away_by_the_platform_still_pays_its_payees():
    split = {"shares": [{"payee": "ins_a", "bps": 7000}], "platform_discount": "absorbed"}
    free = line(net=0, tax={}, split=split, platform_discount=10_000)
    books = Books(free, line("L2"))
    books.post(recognize(books["L1"]))
    books.post(initiate_refund("R1", books.order))
    books.check()
    assert books.balance(Account.PAYEE_HELD, "ins_a") == -7000
    assert not books["L1"].nothing_left
    assert books["L2"].nothing_left


def test_an_agent_shows_sales_net_of_shares():
    books = Books(line(net=10_000, tax={}, presentation="agent"))
    books.post(recognize(books["L1"]))
    assert books.nonzero() == {
        "1010": 10_000,
        "4010": -3000,
        "2210/ins_a": -4000,
        "2210/ins_b": -3000,
    }
    books.post(initiate_refund("R1", books.order))
    assert books.nonzero() == {"1010": 10_000, "2310": -10_000, "4030": 10_000, "4010": -10_000}


def test_tiers_count_what_the_payee_had_before():
    tiers = [{"upto": 100_000, "bps": 5000}, {"upto": None, "bps": 7000}]
    split = {"shares": [{"payee": "ins_a", "tiers": tiers}]}
    (captured,) = capture("O1", [line(net=10_000, split=split)]).lines
    assert recognize(captured, prior={"ins_a": 95_000}).earnings[0].amount == 6000


@pytest.mark.parametrize(
    "given",
    [
        {"net": 10_001},
        {"net": -1},
        {"tax": {"DE": -1}},
        {"platform_discount": 1001},
        {"currency": "ABC"},
        {"split": {"shares": [{"payee": "a", "bps": 10_001}]}},
    ],
)
def test_a_line_that_cannot_be_is_refused(given):
    with pytest.raises(InvalidInput):
        line(**given)


def test_an_order_has_lines_in_one_currency():
    with pytest.raises(CurrencyMismatch):
        capture("O1", [line(), line("L2", currency="USD")])
    with pytest.raises(InvalidInput):
        capture("O1", [])


# --- refunds --------------------------------------------------------------------------------------


def accrued(*lines):
    """Books with all lines paid and recognized."""
    books = Books(*(lines or (line(),)))
    for name in list(books.lines):
        books.post(recognize(books[name]))
    return books


def test_an_amount_spreads_over_what_is_left_of_each_line():
    books = accrued(line(net=9000, tax={}), line("L2", net=3000, tax={}))
    books.post(initiate_refund("R1", books.order, by_line={"L1": 6000}))
    assert plan_refund(books.order, amount=1001) == {"L1": 501, "L2": 500}
    assert plan_refund(books.order, by_line={"L1": None}) == {"L1": 3000}
    assert plan_refund(books.order) == {"L1": 3000, "L2": 3000}


def test_no_more_is_refunded_than_was_paid():
    books = accrued()
    books.post(initiate_refund("R1", books.order, amount=10_000))
    for asked in ({"amount": 711}, {"by_line": {"L1": 711}}):
        with pytest.raises(NothingLeft) as refusal:
            initiate_refund("R2", books.order, **asked)
        assert refusal.value.code == "refund_exceeds_paid"
        assert refusal.value.detail == "7.11 EUR asked, 7.10 EUR left"
    books.post(initiate_refund("R3", books.order))
    with pytest.raises(NothingLeft):
        initiate_refund("R4", books.order)
    with pytest.raises(NothingLeft):
        initiate_refund("R5", books.order, by_line={"L1": None})


@pytest.mark.parametrize(
    "asked",
    [
        {"amount": 0},
        {"amount": -5},
        {"by_line": {"L1": 0}},
        {"by_line": {"L9": 5}},
        {"amount": 5, "by_line": {"L1": 5}},
    ],
)
def test_a_refund_that_makes_no_sense_is_refused(asked):
    with pytest.raises(InvalidInput):
        initiate_refund("R1", Books(line()).order, **asked)


def test_nothing_is_refunded_before_payment_or_during_a_dispute():
    with pytest.raises(Conflict) as unpaid:
        initiate_refund("R1", [line()])
    assert unpaid.value.code == "not_paid"
    books = accrued()
    books.post(open_dispute("D1", books.order, amount=10_710))
    with pytest.raises(Conflict) as disputed:
        initiate_refund("R1", books.order)
    assert disputed.value.code == "dispute_open"


def test_shares_come_out_of_held_first_then_out_of_released():
    books = accrued()
    books.post(initiate_refund("R1", books.order, amount=5355))
    books.post(release(books["L1"]))
    books.post(cancel_refund("R1", books.order))  # 1800 and 1350 back into held
    outcome = books.post(initiate_refund("R2", books.order))
    assert [(e.payee, e.amount, str(e.bucket), e.cumulative_reversed) for e in outcome.earnings] == [
        ("ins_a", 1800, "held", 3600),
        ("ins_a", 1800, "released", 5400),
        ("ins_b", 1350, "held", 2700),
        ("ins_b", 1350, "released", 4050),
    ]
    books.check()


def test_reinstated_shares_are_released_under_a_key_of_their_own():
    books = accrued()
    books.post(initiate_refund("R1", books.order))
    books.post(cancel_refund("R1", books.order))
    books.post(release(books["L1"]))
    books.post(initiate_refund("R2", books.order))
    books.post(cancel_refund("R2", books.order))
    again = books.post(release(books["L1"]))
    assert [entry.event_key for entry in again.entries] == ["line:L1:released:2"]
    assert books["L1"].payees[0].standing == 3600
    books.check()


@pytest.mark.parametrize("recognized", [False, True])
def test_a_cancelled_refund_leaves_no_trace_in_the_balances(recognized):
    books = accrued() if recognized else Books(line())
    before = books.nonzero()
    books.post(initiate_refund("R1", books.order, amount=3333))
    outcome = books.post(cancel_refund("R1", books.order))
    assert books.nonzero() == before
    kinds = [str(entry.kind) for entry in outcome.entries]
    assert kinds == ["refund_cancelled", "split_reinstated"][: len(kinds)]
    assert len(kinds) == 1 + recognized
    books.check()


def test_a_refund_cancelled_after_recognition_goes_back_to_sales():
    books = Books(line())
    books.post(initiate_refund("R1", books.order, amount=5355))
    books.post(recognize(books["L1"]))
    books.post(cancel_refund("R1", books.order))
    books.check()
    straight = accrued()
    assert books.nonzero() == straight.nonzero()


def test_an_unknown_refund_cannot_be_cancelled():
    with pytest.raises(Conflict) as refusal:
        cancel_refund("R9", Books(line()).order)
    assert refusal.value.code == "refund_unknown"


def test_a_cancelled_refund_does_not_come_back_under_its_id():
    books = accrued()
    books.post(initiate_refund("R1", books.order))
    books.post(cancel_refund("R1", books.order))
    assert not initiate_refund("R1", books.order).entries


def test_goodwill_leaves_the_shares_until_nothing_is_left():
    books = accrued()
    books.post(initiate_refund("R1", books.order, amount=5355, absorb=True))
    assert books.total(Account.REVENUE_SHARE) == 6300
    books.post(initiate_refund("R2", books.order, amount=2000))
    assert books.total(Account.REVENUE_SHARE) == 6300 - 1177  # 9000 * 2000 / 10710, 7 parts of 10
    books.post(initiate_refund("R3", books.order))
    assert books.total(Account.REVENUE_SHARE) == 0
    books.check()


def test_a_failed_refund_is_owed_again_and_issued_again():
    attempts = [
        settle_refund("R1", amount=5, currency="EUR"),
        fail_refund("R1", amount=5, currency="EUR"),
        settle_refund("R1", amount=5, currency="EUR", attempt=2),
    ]
    keys = [entry.event_key for outcome in attempts for entry in outcome.entries]
    assert keys == ["refund:R1:settled", "refund:R1:failed", "refund:R1:settled:2"]


def test_money_without_an_order_goes_back_through_its_own_account():
    drafts = [
        *unapply_payment("pi_1", amount=5000, currency="USD").entries,
        *refund_unapplied("R1", amount=5000, currency="USD").entries,
        *settle_refund("R1", amount=5000, currency="USD").entries,
    ]
    assert sum(p.amount for d in drafts for p in d.postings if p.account is Account.UNAPPLIED_RECEIPTS) == 0
    assert [d.event_key for d in drafts] == [
        "payment:pi_1:unapplied",
        "refund:R1:initiated",
        "refund:R1:settled",
    ]


# --- disputes and late failures -----------------------------------------------------------------


def test_a_dispute_freezes_and_frees():
    books = accrued()
    opened = books.post(open_dispute("D1", books.order, amount=10_710, fee=1500))
    assert {(e.type, e.payee, e.amount) for e in opened.earnings} == {
        (EarningType.FROZEN, "ins_a", 3600),
        (EarningType.FROZEN, "ins_b", 2700),
    }
    assert not release(books["L1"]).entries
    won = books.post(win_dispute("D1", books.order, amount=10_710))
    assert {e.type for e in won.earnings} == {EarningType.UNFROZEN}
    assert release(books["L1"]).entries
    books.check()


def test_what_accrues_during_a_dispute_is_frozen():
    books = Books(line())
    books.post(open_dispute("D1", books.order, amount=10_710))
    recognized = books.post(recognize(books["L1"]))
    assert [str(e.type) for e in recognized.earnings] == ["earning.accrued", "earning.frozen"] * 2


def test_two_disputes_free_only_when_both_are_over():
    books = accrued()
    books.post(open_dispute("D1", books.order, amount=5000))
    assert not books.post(open_dispute("D2", books.order, amount=5000)).earnings
    assert not books.post(win_dispute("D1", books.order, amount=5000)).earnings
    assert books["L1"].frozen
    assert books.post(win_dispute("D2", books.order, amount=5000)).earnings
    assert not books["L1"].frozen


def test_a_lost_dispute_larger_than_what_is_left_is_a_loss():
    books = accrued()
    books.post(initiate_refund("R1", books.order, amount=1071))
    books.post(open_dispute("D1", books.order, amount=10_710))
    books.post(lose_dispute("D1", books.order, amount=10_710))
    books.check()
    assert books.nonzero() == {
        "2310": -1071,
        "4010": -10_000,
        "4020": 1000,
        "4030": 900,
        "4035": 8100,
        "5035": 1071,
    }


def test_a_lost_dispute_after_a_full_refund_is_all_loss():
    books = accrued()
    books.post(initiate_refund("R1", books.order))
    books.post(open_dispute("D1", books.order, amount=10_710))
    books.post(lose_dispute("D1", books.order, amount=10_710))
    assert books.balance(Account.CHARGEBACK_LOSS) == 10_710
    books.check()


def test_a_dispute_lost_before_recognition_ends_the_line():
    books = Books(line())
    books.post(open_dispute("D1", books.order, amount=10_710))
    books.post(lose_dispute("D1", books.order, amount=10_710))
    assert books.nonzero() == {}
    assert books["L1"].nothing_left
    assert not recognize(books["L1"]).entries


def test_part_lost_before_recognition_counts_as_chargeback():
    books = Books(line(tax={}))
    books.post(open_dispute("D1", books.order, amount=3000))
    books.post(lose_dispute("D1", books.order, amount=3000))
    books.post(recognize(books["L1"]))
    assert books.balance(Account.CHARGEBACKS) == 3000
    assert books.balance(Account.REFUNDS) == 0
    books.check()


def test_a_dispute_is_opened_before_it_is_decided():
    for decide in (win_dispute, lose_dispute):
        with pytest.raises(Conflict) as refusal:
            decide("D9", Books(line()).order, amount=1)
        assert refusal.value.code == "dispute_unknown"


@pytest.mark.parametrize("recognized", [False, True])
def test_a_payment_that_fails_late_takes_all_back(recognized):
    books = accrued() if recognized else Books(line())
    if recognized:
        books.post(release(books["L1"]))
    outcome = books.post(fail_late("O1", books.order))
    assert str(outcome.entries[0].kind) == "payment_failed_late"
    revenue = {"4010": -10_000, "4020": 1000, "4035": 9000} if recognized else {}
    assert books.nonzero() == revenue
    assert not fail_late("O1", books.order).entries
    books.check()


def test_credit_spent_on_a_payment_that_fails_late_comes_back():
    books = Books(line(), credit_applied=710)
    books.post(fail_late("O1", books.order, credit_applied=710, customer="ann"))
    assert books.nonzero() == {}


def test_a_payment_that_fails_late_takes_back_what_was_refunded_before():
    books = Books(line(), credit_applied=710)
    books.post(initiate_refund("R1", books.order, amount=3000))
    books.post(settle_refund("R1", amount=3000, currency="EUR"))
    books.post(initiate_refund("R2", books.order, amount=2000))
    books.post(fail_late("O1", books.order, amount=10_000, credit_applied=710, customer="ann"))
    assert books.nonzero() == {"1010": -3000, "2310": -2000, "5035": 5000}
    books.post(void_refund("R2", amount=2000, currency="EUR"))
    assert books.nonzero() == {"1010": -3000, "5035": 3000}
    books.check()


def test_a_payment_that_was_all_refunded_and_fails_late_is_all_loss():
    books = Books(line())
    books.post(initiate_refund("R1", books.order))
    books.post(settle_refund("R1", amount=10_710, currency="EUR"))
    books.post(fail_late("O1", books.order, amount=10_710))
    assert books.nonzero() == {"1010": -10_710, "5035": 10_710}


def test_money_for_no_order_that_fails_late_is_lost_unless_its_refund_is_void():
    books = Books(line(net=0, tax={}))
    books.post(unapply_payment("P1", amount=500, currency="EUR"))
    books.post(refund_unapplied("R1", amount=500, currency="EUR"))
    books.post(fail_unapplied("P1", amount=500, currency="EUR"))
    assert books.nonzero() == {"2310": -500, "5035": 500}
    books.post(void_refund("R1", amount=500, currency="EUR"))
    assert books.nonzero() == {}


# --- corrections and cash -------------------------------------------------------------------------


def test_a_share_given_to_the_wrong_payee_is_refunded_by_the_right_one():
    books = accrued()
    books.post(initiate_refund("R1", books.order, amount=5355))
    books.post(reassign("C1", books["L1"], amount=1350, from_payee="ins_b", to_payee="ins_z"))
    assert books.nonzero()["2210/ins_z"] == -1350
    books.post(cancel_refund("R1", books.order))
    assert books.nonzero()["2210/ins_z"] == -2700
    books.post(initiate_refund("R2", books.order))
    assert books.total(Account.PAYEE_HELD) == 0
    books.check()


def test_part_of_a_share_moves_while_nothing_of_it_is_reversed():
    books = accrued()
    books.post(reassign("C1", books["L1"], amount=700, from_payee="ins_b", to_payee="ins_z"))
    books.post(initiate_refund("R1", books.order, amount=5355))
    books.check()
    assert books.nonzero()["2210/ins_z"] == -350
    with pytest.raises(Conflict) as lowered:
        reassign("C2", books["L1"], amount=100, from_payee="ins_z", to_payee="ins_y")
    assert lowered.value.code == "share_lowered"
    with pytest.raises(Conflict) as small:
        reassign("C3", books["L1"], amount=2701, from_payee="ins_a", to_payee="ins_y")
    assert small.value.code in ("share_too_small", "share_lowered")
    books.post(initiate_refund("R2", books.order))
    assert books.total(Account.PAYEE_HELD) == 0


def test_the_platforms_share_is_not_reassigned():
    with pytest.raises(Conflict):
        reassign("C1", accrued()["L1"], amount=1, from_payee="platform", to_payee="ins_z")
    with pytest.raises(InvalidInput):
        reassign("C1", accrued()["L1"], amount=1, from_payee="ins_a", to_payee="ins_a")


def test_an_affiliate_who_also_teaches_earns_once_per_line():
    split = {"off_top": [{"payee": "ins_a", "bps": 1000}], "shares": [{"payee": "ins_a", "bps": 5000}]}
    books = accrued(line(net=10_000, tax={}, split=split))
    assert books.balance(Account.PAYEE_HELD, "ins_a") == -5500
    books.post(initiate_refund("R1", books.order, amount=5000))
    assert books.balance(Account.PAYEE_HELD, "ins_a") == -2750
    books.check()


def test_fees_follow_the_processors_word():
    assert processor_fee("txn_1", amount=0, currency="EUR").entries == ()
    (entry,) = processor_fee("txn_1", amount=-30, currency="EUR").entries
    assert entry.event_key == "stripe:txn_1:fee"
    assert {(p.account, p.amount) for p in entry.postings} == {
        (Account.PROCESSOR_FEES, -30),
        (CASH, 30),
    }


def test_each_currency_of_a_conversion_balances_alone():
    (entry,) = convert_settlement("txn_1", given=Money(11_900, "EUR"), received=Money(12_852, "USD")).entries
    assert len(entry.postings) == 4
    with pytest.raises(InvalidInput):
        convert_settlement("txn_1", given=Money(1, "EUR"), received=Money(1, "EUR"))


def test_payee_accounts_carry_the_payee():
    for outcome in (
        settle_payout("po_1", "ins_a", amount=5, currency="EUR"),
        write_off_payee("w_1", "ins_a", amount=5, currency="EUR"),
    ):
        (entry,) = outcome.entries
        assert {p.sub for p in entry.postings} == {"ins_a", None}
    (credit,) = grant_goodwill("c_1", "ann", amount=5, currency="EUR").entries
    assert credit.event_key == "credit:c_1:issued"


def test_a_line_survives_its_json():
    books = accrued(line(tax={"US-NY": 400, "US-NYC": 450}))
    books.post(initiate_refund("R1", books.order, amount=100, absorb=True))
    books.post(open_dispute("D1", books.order, amount=100))
    books.post(reassign("C1", books["L1"], amount=5, from_payee="ins_a", to_payee="ins_c"))
    state = books["L1"]
    assert LineLedger.from_dict(state.to_dict()) == state
    assert list(dict(state.tax)) == ["US-NY", "US-NYC"]
