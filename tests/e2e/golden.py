"""Plays a golden ledger case from outside: HTTP, the stand-ins' buttons, time; and reads its journals."""

import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

import psycopg
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from devstack.shopper import Shopper, wait_for
from devstack.stripe_standin.balance import DISPUTE_FEE
from devstack.stripe_standin.currencies import processing_fee
from domain import ids
from tests.e2e.conftest import Shop
from tests.e2e.processor import pay_behind_our_back

Event = dict[str, Any]
Entry = tuple[str, tuple[tuple[str, str | None, str, int], ...]]

CHANCE_BY_PRODUCT = frozenset({"processor_fee", "refund_settled"})
"""Entries that the processor leads to by itself; cases that are not about them leave them out."""
_ADDRESSES = {
    "DE": {"country": "DE", "postal_code": "10115"},
    "US-NY": {"country": "US", "state": "NY", "postal_code": "10001"},
    "JP": {"country": "JP", "postal_code": "100-0001"},
    None: {"country": "US", "state": "OR", "postal_code": "97035"},
}


def install_rates(owner_url: str) -> None:
    """The rate of New York City, which the cases use, in the place of the state's."""
    with psycopg.connect(owner_url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        connection.execute(
            "UPDATE tax_rate SET ppm = 88750, source = 'golden cases' WHERE jurisdiction = 'US-NY'"
        )


# The account of a fee, and what the stand-in asks.
_FEES: dict[str, Callable[[int], tuple[str, int]]] = {
    "processor_fee": lambda gross: ("5020", processing_fee(gross)),
    "dispute_fee": lambda _: ("5030", DISPUTE_FEE),
}


class Play:
    """One case on one order of one learner; payees and courses are the case's own."""

    def __init__(self, shop: Shop, temporal: Client, case: dict[str, Any]) -> None:
        self.shop = shop
        self.case = case
        self.currency: str = case["currency"]
        self._skipper = TimeSkipper(temporal)
        self._temporal = temporal
        self._tag = uuid.uuid4().hex[:8]
        self._courses: dict[str, str] = {}
        self._seen: set[str] = set()
        self._refunds: dict[str, str] = {}
        self._disputes: dict[str, str] = {}
        self._rate: Fraction | None = None
        self._paid_out = 0
        self.order_id = ""
        self.intent_id = ""
        self.lines: dict[str, str] = {}

    @classmethod
    def can(cls, case: dict[str, Any]) -> bool:
        """Whether every event of the case can be played."""
        return all(step["event"]["type"] in cls._PLAYS for step in case["steps"])

    async def run(self) -> None:
        """All events, each seen through before the next."""
        self.learner = await self.shop.learner("golden")
        self.operator = await self.shop.operator()
        expected: list[Entry] = []
        for step in self.case["steps"]:
            event = step["event"]
            if event["id"] not in self._seen:
                self._seen.add(event["id"])
                await self._PLAYS[event["type"]](self, event)
            expected += [self._expected(entry) for entry in step.get("entries") or []]
            await wait_for(
                self.entries,
                lambda found, want=Counter(expected): found >= want,  # type: ignore[misc]
                what=f"the entries of {event['id']} ({event['type']}): {expected}",
            )

    async def entries(self) -> Counter[Entry]:
        """The order's journal entries in the names of the case."""
        by_id: dict[str, str | None] = {line_id: name for name, line_id in self.lines.items()}
        by_id[self.learner.user["id"]] = None  # cases do not name the customer
        journals = []
        if self.order_id:
            journals += await self._journals(f"order_id={self.order_id}")
        for account in ("1020", "2220", "2330"):
            found_beside = await self._journals(f"account={account}")
            journals += [entry for entry in found_beside if self._is_beside(entry)]
        wanted = {entry["kind"] for step in self.case["steps"] for entry in step.get("entries") or []}
        found: Counter[Entry] = Counter()
        for entry in journals:
            if entry["kind"] in CHANCE_BY_PRODUCT - wanted:
                continue
            postings = [
                (
                    p["account"],
                    by_id.get(p["sub"], (p["sub"] or "").removeprefix(f"{self._tag}-") or None),
                    p["currency"],
                    p["amount"],
                )
                for p in entry["postings"]
            ]
            found[entry["kind"], tuple(sorted(postings, key=str))] += 1
        return found

    async def _journals(self, wanted: str) -> list[dict[str, Any]]:
        answer = await self.operator.call("GET", f"/v1/ledger/journals?{wanted}&limit=100")
        journals: list[dict[str, Any]] = answer["data"]
        return journals

    def _is_beside(self, entry: dict[str, Any]) -> bool:
        """An entry of no order about one of the case's payees, its customer, or its payout."""
        return entry["order_id"] is None and any(
            (posting["sub"] or "").startswith((self._tag, self.learner.user["id"]))
            or (posting["account"] == "1020" and posting["amount"] == self._paid_out)
            for posting in entry["postings"]
        )

    def expected(self) -> Counter[Entry]:
        """All entries of the case."""
        return Counter(
            self._expected(entry) for step in self.case["steps"] for entry in step.get("entries") or []
        )

    def _expected(self, entry: dict[str, Any]) -> Entry:
        if entry["kind"] in _FEES:  # the stand-in asks its own fee, and the ledger posts what it says
            account, fee = _FEES[entry["kind"]](self._paid_gross())
            code = entry["postings"][0].get("currency", self.currency)
            fee = fee if self._rate is None else int(fee * self._rate + Fraction(1, 2))
            return entry["kind"], (("1010", None, code, -fee), (account, None, code, fee))
        postings = [
            (str(p["account"]), p.get("sub"), p.get("currency", self.currency), p["amount"])
            for p in entry["postings"]
        ]
        return entry["kind"], tuple(sorted(postings, key=str))

    def _paid_gross(self) -> int:
        events = [step["event"] for step in self.case["steps"]]
        lines = [line for event in events for line in event.get("lines", []) if "net" in line]
        return sum(line["net"] + sum(line["tax"].values()) for line in lines)

    # --- events --------------------------------------------------------------------------------------

    async def _pay(self, event: Event) -> None:
        await self._settle_elsewhere()
        for line in event["lines"]:
            await self._item(line)
        (discount,) = {(line["list"] - line["net"]) * 100 // (line["list"] or 1) for line in event["lines"]}
        if discount:
            await self.learner.promo({10: "WELCOME10", 100: "FREE100"}[discount])
        jurisdiction = next((name for line in event["lines"] for name in line["tax"]), None)
        answer = await self.learner.checkout(
            address=_ADDRESSES[jurisdiction], use_store_credit="credit_applied" in event
        )
        order = answer["order"]
        self.order_id = order["id"]
        names = {course: line for line, course in self._courses.items()}
        self.lines = {names[line["lms_course_id"]]: line["id"] for line in order["lines"]}
        if answer["payment"] is not None:
            self.intent_id = answer["payment"]["payment_intent_id"]
            await self.shop.stripe.confirm(self.intent_id, "pm_card_visa")
        await self.learner.wait_for_status(self.order_id, "fulfilled")

    async def _item(self, line: dict[str, Any]) -> None:
        """A course that costs what the line costs, with its split rule; in the learner's cart."""
        course = f"{self.case['id'].lower().replace('_', '-')}-{line['line'].lower()}-{self._tag}"
        self._courses[line["line"]] = course
        await self.shop.lms.add_course(course, course)
        item = await self.operator.call(
            "POST",
            "/v1/catalog/items",
            {
                "slug": course,
                "type": "course",
                "title": course,
                "lms_course_id": course,
                "prices": [{"amount": line["list"], "currency": self.currency}],
                "tax_code": "txcd_20060158",
                "recognition": line.get("recognition", "on_completion"),
            },
        )
        await self.operator.call(
            "POST",
            "/v1/split-rules",
            {"scope": {"item_id": item["id"]}, "valid_from": "2026-01-01T00:00:00Z"}
            | self._terms(line["split"]),
        )
        await self.learner.add(course, currency=self.currency)

    def _terms(self, split: dict[str, Any]) -> dict[str, Any]:
        terms: dict[str, Any] = {
            "shares": [
                {"payee": self._payee(share["payee"]), "bps": share["bps"]} for share in split["shares"]
            ],
            "contractual_fee": {"bps": split.get("fee_bps", 0), "fixed": split.get("fee_fixed", 0)},
        }
        for share in split["shares"]:
            if "min" in share:
                terms["guarantee"] = {"payee": self._payee(share["payee"]), "amount": share["min"]}
        for affiliate in split.get("off_top", []):
            terms["affiliate"] = {"payee": self._payee(affiliate["payee"]), "bps": affiliate["bps"]}
        return terms

    def _payee(self, name: str) -> str:
        return f"{self._tag}-{name}"

    async def _complete(self, event: Event) -> None:
        await self.shop.lms.complete(self.learner.user["lms_user_id"], self._courses[event["line"]])

    async def _release(self, event: Event) -> None:
        handle = self._temporal.get_workflow_handle(ids.split_workflow_id(self.lines[event["line"]]))
        await self._skipper.fast_forward(handle, timedelta(days=31))

    async def _give_credit(self, event: Event) -> None:
        body = {"user_id": self.learner.user["id"], "amount": self._money(event), "reason": "sorry"}
        await self.operator.call("POST", "/v1/store-credit/grants", body)

    async def _refund(self, event: Event) -> None:
        if event.get("absorb"):
            body = {"amount": self._money(event), "kind": "goodwill", "reason": "sorry"}
            await self.operator.call("POST", f"/v1/orders/{self.order_id}/adjustments", body)
            await wait_for(self._refund_states, lambda states: "pending" not in states, what="the goodwill")
            return
        asked: dict[str, Any] = {}
        if "amount" in event:
            asked["amount"] = self._money(event)
        elif "lines" in event:
            asked["lines"] = [
                {"line_id": self.lines[name], "amount": gross} for name, gross in event["lines"].items()
            ]
        refund = await self.operator.refund(self.order_id, **asked)
        self._refunds[event["refund"]] = refund["id"]
        await wait_for(self._refund_states, lambda states: "pending" not in states, what="the refund")

    async def _fail_refund(self, event: Event) -> None:
        """The bank sends the money back after all."""
        rows = await self.shop.query(
            "SELECT provider_refund_id FROM refund WHERE order_id = %s", self.order_id
        )
        await self.shop.stripe.fail_refund(rows[0]["provider_refund_id"], "expired_or_canceled_card")
        await wait_for(self._refund_states, lambda states: states == {"failed"}, what="the failure")
        refund_id = next(iter(self._refunds.values()))
        await self.operator.call("POST", f"/v1/refunds/{refund_id}/reissue")

    async def _refund_states(self) -> set[str]:
        order = await self.learner.order(self.order_id)
        return {refund["status"] for refund in order["refunds"]}

    async def _pay_for_nothing(self, event: Event) -> None:
        """Money for a canceled order whose seat another buyer has taken."""
        slug = await self.shop.seat(self.operator, capacity=1)
        answer = await self.shop.place(self.learner, slug, address=_ADDRESSES[None])
        self.order_id = answer["order"]["id"]
        await self.learner.call("POST", f"/v1/orders/{self.order_id}/cancel")
        await self.learner.wait_for_status(self.order_id, "canceled")
        await self.shop.buy(await self.shop.learner("quick"), slug)
        await pay_behind_our_back(self.shop, self.order_id, event["amount"])

    async def _pay_out(self, event: Event) -> None:
        payee = self._payee(event["payee"])
        await wait_for(
            self.shop.payout.payees,
            lambda all_: any(b.payee_ref == payee and b.released >= event["amount"] for b in all_),
            what="the release at the payout system",
        )
        await self.shop.payout.settle(payee, self.currency, event["amount"])

    async def _write_off(self, event: Event) -> None:
        body = {"payee_ref": self._payee(event["payee"]), "amount": self._money(event), "reason": "gone"}
        await self.operator.call("POST", "/v1/earnings/write-offs", body)

    async def _reassign(self, event: Event) -> None:
        body = {
            "order_line_id": self.lines[event["line"]],
            "from_payee": self._payee(event["from"]),
            "to_payee": self._payee(event["to"]),
            "amount": self._money(event),
            "reason": "wrong teacher",
        }
        await self.operator.call("POST", "/v1/earnings/reassignments", body)

    def _money(self, event: Event) -> dict[str, Any]:
        return {"amount": event["amount"], "currency": self.currency}

    async def _dispute(self, event: Event) -> None:
        made = await self.shop.stripe.dispute(self.intent_id, event["amount"])
        self._disputes[event["dispute"]] = made["id"]
        await self.learner.wait_for_status(self.order_id, "disputed")

    async def _win(self, event: Event) -> None:
        await self.shop.stripe.win_dispute(
            self._disputes[event["dispute"]], fee_returned=event.get("fee_refund", 0)
        )

    async def _lose(self, event: Event) -> None:
        await self.shop.stripe.lose_dispute(self._disputes[event["dispute"]])

    async def _settle_elsewhere(self) -> None:
        """Have the processor settle in the currency that the case says, at its rate."""
        events = [step["event"] for step in self.case["steps"]]
        for event in events:
            if event["type"] == "settlement_converted":
                given, received = event["from"], event["to"]
                self._rate = Fraction(received["amount"], given["amount"])
                rate = str(received["amount"] / given["amount"])
                await self.shop.stripe.settle_in(
                    received["currency"].lower(), rate, of=given["currency"].lower()
                )

    async def _pay_out_to_bank(self, event: Event) -> None:
        self._paid_out = event["amount"]
        await self.shop.stripe.pay_out(event["amount"], event["currency"].lower())

    async def _by_itself(self, event: Event) -> None:
        """The product does it without being asked; the entries show it."""

    _PLAYS: dict[str, Callable[["Play", Event], Awaitable[None]]] = {
        "payment_captured": _pay,
        "entitlement_granted": _by_itself,
        "course_completed": _complete,
        "earning_released": _release,
        "refund_initiated": _refund,
        "refund_settled": _by_itself,
        "refund_failed": _fail_refund,
        "processor_fee": _by_itself,
        "settlement_converted": _by_itself,
        "processor_payout": _pay_out_to_bank,
        "dispute_opened": _dispute,
        "dispute_won": _win,
        "dispute_lost": _lose,
        "payout_settled": _pay_out,
        "payee_written_off": _write_off,
        "earning_reassigned": _reassign,
        "payment_unapplied": _pay_for_nothing,
        "goodwill_credit": _give_credit,
        "unapplied_refunded": _by_itself,
    }


async def play(shop: Shop, temporal: Client, case: dict[str, Any]) -> Play:
    """Play the case through."""
    played = Play(shop, temporal, case)
    await played.run()
    return played


__all__ = ["Play", "Shopper", "install_rates", "play"]
