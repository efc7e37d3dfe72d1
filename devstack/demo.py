"""The demo's story: sells courses end to end over HTTP and shows what became of every cent."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from babel.numbers import format_currency
from rich.console import Console
from rich.table import Table

from devstack.lms_standin import seed
from devstack.lms_standin.control import LmsControl
from devstack.payout_receiver.control import PayoutControl
from devstack.shopper import ApiProblem, Shopper, wait_for
from devstack.stripe_standin.control import StripeControl

EXPONENTS = {"JPY": 0, "KWD": 3}


def shown(money: dict[str, Any]) -> str:
    """An amount for people."""
    exponent = EXPONENTS.get(money["currency"], 2)
    return str(format_currency(money["amount"] / 10**exponent, money["currency"], locale="en_US"))


@dataclass(frozen=True)
class Addresses:
    """Where the parts of the stack listen."""

    gateway: str
    stripe: str
    lms: str
    payout: str
    temporal_ui: str


@dataclass
class Story:
    """Tells the steps, times them, and remembers what to show at the end."""

    addresses: Addresses
    folder: Path
    console: Console
    stripe: StripeControl
    lms: LmsControl
    payout: PayoutControl
    run_id: str = field(default_factory=lambda: str(int(time.time())))
    workflows: list[tuple[str, str]] = field(default_factory=list)
    steps: int = 0
    last: float = field(default_factory=time.monotonic)

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        self.console.print(f"\n[bold]{title}[/bold]")
        self.last = time.monotonic()

    def tell(self, what: str, *, object_id: str = "", amount: str = "") -> None:
        """Print one step with its id, amount and the time it took."""
        self.steps += 1
        now = time.monotonic()
        self.console.print(
            f"  [green]{self.steps:>2}[/green] {what:<58} [cyan]{amount:>12}[/cyan] "
            f"[dim]{(now - self.last) * 1000:>6.0f} ms  {object_id}[/dim]",
            highlight=False,
            soft_wrap=True,
        )
        self.last = now

    def expect(self, condition: bool, what: str) -> None:
        """Stop the story when a step is off."""
        if not condition:
            raise AssertionError(what)

    def shopper(self) -> Shopper:
        """A new front end."""
        return Shopper(self.addresses.gateway)

    def email(self, name: str) -> str:
        """An address that no earlier run has used."""
        return f"{name}.{self.run_id}@example.com"


async def _expect_problem(call: Awaitable[Any], code: str) -> ApiProblem:
    try:
        await call
    except ApiProblem as problem:
        if problem.code != code:
            raise AssertionError(f"expected {code}, got {problem}") from problem
        return problem
    raise AssertionError(f"expected {code}, but the call went through")


async def sell_with_decline_and_promotion(story: Story) -> tuple[Shopper, dict[str, Any]]:
    """Register, promotion and tax, one declined card, then a good one, access."""
    story.chapter("A learner buys a course")
    ada = await story.shopper().register(story.email("ada"), "Ada Lovelace")
    story.tell("Ada registers (the LMS makes the account)", object_id=ada.user["lms_user_id"])
    await ada.add("python-101")
    cart = await ada.promo("WELCOME10")
    story.tell("adds a course, uses WELCOME10", object_id=cart["id"], amount=shown(cart["totals"]["total"]))
    answer = await ada.checkout()
    order, intent = answer["order"], answer["payment"]["payment_intent_id"]
    story.expect(order["discount"]["amount"] > 0 and order["tax"]["amount"] > 0, "discount and tax apply")
    story.workflows.append((f"order {order['number']}", order["workflow_id"]))
    story.tell(
        f"checks out: order {order['number']}, tax {shown(order['tax'])}",
        object_id=order["id"],
        amount=shown(order["total"]),
    )
    declined = await story.stripe.confirm(intent, "pm_card_chargeDeclined")
    story.expect("error" in declined, "the first card is declined")
    story.tell("first card is declined", object_id=intent)
    await story.stripe.confirm(intent, "pm_card_visa")
    story.tell("second card is charged", object_id=intent, amount=shown(order["total"]))
    order = await ada.wait_for_status(order["id"], "fulfilled")
    link = order["entitlements"][0]["deep_link"]
    story.tell("webhook, ledger, LMS grant: the course is open", object_id=order["entitlements"][0]["id"])
    async with httpx.AsyncClient() as http:
        page = await http.get(link, follow_redirects=True)
    story.expect(page.status_code == 200, "the deep link opens")
    story.tell("opens the deep link", object_id=link)
    return ada, order


async def sell_with_three_d_secure(story: Story) -> tuple[Shopper, dict[str, Any]]:
    """A card that asks for 3-D Secure."""
    story.chapter("Another learner pays with 3-D Secure")
    grace = await story.shopper().register(story.email("grace"), "Grace Hopper")
    await grace.add("data-science")
    answer = await grace.checkout()
    order, intent = answer["order"], answer["payment"]["payment_intent_id"]
    story.workflows.append((f"order {order['number']}", order["workflow_id"]))
    story.tell(f"checks out: order {order['number']}", object_id=order["id"], amount=shown(order["total"]))
    confirmed = await story.stripe.confirm(intent, "pm_card_threeDSecure2Required")
    story.expect(confirmed.get("status") == "requires_action", "the bank asks for authentication")
    story.tell("the bank asks for authentication", object_id=intent)
    await story.stripe.finish_three_d_secure(intent)
    order = await grace.wait_for_status(order["id"], "fulfilled")
    story.tell("authenticated, charged, granted", object_id=intent, amount=shown(order["amount_paid"]))
    return grace, order


async def complete_and_release(story: Story, learner: Shopper, order: dict[str, Any]) -> None:
    """Completion, recognition, accrual, the (short) hold, release to the payout system."""
    story.chapter("The course is completed; the instructor earns")
    await story.lms.complete(learner.user["lms_user_id"], order["lines"][0]["lms_course_id"])
    story.tell("the LMS reports the completion", object_id=order["lines"][0]["lms_course_id"])

    async def events(kind: str) -> list[dict[str, Any]]:
        received = [event.body["data"] for event in await story.payout.events(type=kind)]
        return [data for data in received if data.get("order_id") == order["id"]]

    accrued = await wait_for(lambda: events("earning.accrued"), bool, what="earning.accrued")
    for data in accrued:
        story.tell(
            f"earning accrued for {data['payee_ref']}, held", object_id=data["earning_id"], amount=shown(data)
        )
    story.workflows.append((f"revenue of {order['number']}", f"split/{order['lines'][0]['id']}"))
    released = await wait_for(lambda: events("earning.released"), bool, what="earning.released", seconds=40)
    for data in released:
        story.tell(
            f"released to the payout system: {data['payee_ref']}",
            object_id=data["earning_id"],
            amount=shown(data),
        )
        payout = await story.payout.settle(data["payee_ref"], data["currency"], data["amount"])
        story.tell("the payout system pays, and says so", object_id=payout.payout_id, amount=shown(data))


async def give_away(story: Story) -> None:
    """A free order: no payment, but an order, a ledger trace and a grant."""
    story.chapter("A free order")
    alan = await story.shopper().register(story.email("alan"), "Alan Turing")
    await alan.add("web-design")
    await alan.promo("FREE100")
    answer = await alan.checkout()
    story.expect(answer["payment"] is None, "nothing is due")
    order = await alan.wait_for_status(answer["order"]["id"], "fulfilled")
    story.tell(
        f"order {order['number']} with FREE100 is granted",
        object_id=order["id"],
        amount=shown(order["total"]),
    )


async def sell_last_seat(story: Story, operator: Shopper) -> None:
    """Two buyers, one seat."""
    story.chapter("The last seat, two buyers")
    item = await operator.call(
        "POST",
        "/v1/catalog/items",
        {
            "slug": f"seminar-{story.run_id}",
            "type": "registration",
            "title": "Live seminar, one seat",
            "description": "A seminar with a single seat.",
            "lms_course_id": "live-workshop-2027",
            "prices": [{"amount": 12000, "currency": "USD"}],
            "capacity": 1,
            "tax_code": "txcd_20060158",
        },
    )
    story.tell(
        "an operator opens a seminar with one seat", object_id=item["id"], amount=shown(item["prices"][0])
    )
    first = await story.shopper().register(story.email("edsger"), "Edsger Dijkstra")
    second = await story.shopper().register(story.email("barbara"), "Barbara Liskov")
    await first.add(item["slug"])
    await second.add(item["slug"])
    answer = await first.checkout()
    story.tell("Edsger takes the seat at checkout", object_id=answer["order"]["id"])
    await _expect_problem(second.checkout(), "sold_out")
    story.tell("Barbara is told: sold_out")
    await story.stripe.confirm(answer["payment"]["payment_intent_id"], "pm_card_mastercard")
    order = await first.wait_for_status(answer["order"]["id"], "fulfilled")
    story.tell("Edsger pays and is registered", object_id=order["id"], amount=shown(order["amount_paid"]))


async def refund_in_full(story: Story, operator: Shopper, learner: Shopper, order: dict[str, Any]) -> None:
    """A full refund: reversal in the ledger, money back, access revoked."""
    story.chapter("A full refund")
    refund = await operator.refund(order["id"])
    story.workflows.append((f"refund of {order['number']}", f"refund/{refund['id']}"))
    story.tell("an operator refunds the order", object_id=refund["id"], amount=shown(refund["amount"]))
    await learner.wait_for_status(order["id"], "refunded")
    story.tell("the processor has sent the money back", object_id=refund["id"])
    revoked = await wait_for(
        lambda: learner.order(order["id"]),
        lambda o: o["entitlements"][0]["status"] == "revoked",
        what="the revocation",
    )
    story.tell("access is revoked at the LMS", object_id=revoked["entitlements"][0]["id"])


async def dispute(story: Story, operator: Shopper) -> None:
    """A dispute that is contested and won, and one that is lost."""
    story.chapter("Two cardholders dispute")
    for name, full_name, won in (("hedy", "Hedy Lamarr", True), ("charles", "Charles Ponzi", False)):
        buyer = await story.shopper().register(story.email(name), full_name)
        await buyer.add("python-101")
        answer = await buyer.checkout()
        order, intent = answer["order"], answer["payment"]["payment_intent_id"]
        await story.stripe.confirm(intent, "pm_card_visa")
        await buyer.wait_for_status(order["id"], "fulfilled")
        made = await story.stripe.dispute(intent)
        await buyer.wait_for_status(order["id"], "disputed")
        story.workflows.append((f"dispute of {order['number']}", f"dispute/{made['id']}"))
        story.tell(
            f"the bank takes {name.title()}'s payment back; access is suspended",
            object_id=made["id"],
            amount=shown(order["total"]),
        )
        if won:
            await _submit_evidence(operator, made["id"])
            story.tell(
                "an operator sends the evidence: order, receipt, access, progress", object_id=made["id"]
            )
            await story.stripe.win_dispute(made["id"])
        else:
            await story.stripe.lose_dispute(made["id"])
        decided, access = ("won", "granted") if won else ("lost", "revoked")
        await wait_for(
            lambda order_id=order["id"], buyer=buyer: buyer.order(order_id),  # type: ignore[misc]
            lambda o, ends=(decided, access): (o["dispute"], o["entitlements"][0]["status"]) == ends,  # type: ignore[misc]
            what=f"the {decided} dispute",
        )
        story.tell(f"{'won: the money is back' if won else 'lost: the sale is undone'}, access {access}")


async def _submit_evidence(operator: Shopper, provider_id: str) -> None:
    async def found() -> dict[str, Any]:
        rows = (await operator.call("GET", "/v1/disputes?state=open"))["data"]
        (row,) = [row for row in rows if row["provider_dispute_id"] == provider_id]
        return dict(await operator.call("GET", f"/v1/disputes/{row['id']}"))

    assembled = await wait_for(found, lambda answer: answer["evidence"] is not None, what="the evidence")
    path = f"/v1/disputes/{assembled['dispute']['id']}/submit-evidence"
    await operator.call("POST", path, {"when": "now"})
    await wait_for(
        found, lambda answer: answer["dispute"]["evidence_submitted_at"] is not None, what="its submission"
    )


async def show_books(story: Story, operator: Shopper) -> None:
    """The trial balance."""
    story.chapter("The books")
    balance = await operator.call("GET", "/v1/ledger/trial-balance")
    table = Table(show_edge=False, pad_edge=False, header_style="dim")
    for column, justify in (
        ("account", "left"),
        ("currency", "left"),
        ("debit", "right"),
        ("credit", "right"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in balance["accounts"]:
        amount = {"currency": row["currency"], "amount": abs(row["amount"])}
        debit, credit = (shown(amount), "") if row["amount"] > 0 else ("", shown(amount))
        table.add_row(f"{row['account']} {row['name']}", row["currency"], debit, credit)
    story.console.print(table)
    totals: dict[str, int] = {}
    for row in balance["accounts"]:
        totals[row["currency"]] = totals.get(row["currency"], 0) + row["amount"]
    story.expect(not any(totals.values()), f"the ledger sums to zero: {totals}")
    story.tell("every currency sums to zero")


async def keep_receipt(story: Story, learner: Shopper, order: dict[str, Any]) -> Path:
    """Fetch the receipt and put it on disk."""
    answer = await learner.send("GET", f"/v1/orders/{order['id']}/receipt.pdf")
    story.expect(answer.content.startswith(b"%PDF"), "the receipt is a PDF")
    path = story.folder / f"receipt-{order['number']}.pdf"
    path.write_bytes(answer.content)
    story.tell("the receipt is on disk", object_id=str(path))
    return path


def show_addresses(story: Story, namespace: str, receipt: Path) -> None:
    """Where to look on."""
    story.chapter("Look around")
    ui = f"{story.addresses.temporal_ui}/namespaces/{namespace}/workflows"
    rows = [
        ("API docs", f"{story.addresses.gateway}/docs"),
        ("error codes", f"{story.addresses.gateway}/docs/errors"),
        ("a receipt", receipt.absolute().as_uri()),
        ("Temporal UI", ui),
        *((name, f"{ui}/{quote(workflow_id, safe='')}") for name, workflow_id in story.workflows),
        ("stand-in Stripe", f"{story.addresses.stripe}/dashboard"),
        ("payout receiver", story.addresses.payout),
        ("stand-in LMS", story.addresses.lms),
        *((f"log in as {user.role}", f"{user.email}, password {seed.PASSWORD}") for user in seed.USERS),
    ]
    for name, address in rows:
        story.console.print(f"  {name:<22} {address}", highlight=False, soft_wrap=True)


async def tell(
    addresses: Addresses,
    folder: Path,
    *,
    namespace: str,
    verify: Callable[[], Awaitable[bool]],
    console: Console | None = None,
) -> None:
    """Tell the whole story; AssertionError, ApiProblem or TimeoutError when any step is off."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    async with (
        StripeControl(addresses.stripe) as stripe,
        LmsControl(addresses.lms) as lms,
        PayoutControl(addresses.payout) as payout,
    ):
        story = Story(addresses, folder, console or Console(), stripe, lms, payout)
        operator = await story.shopper().login("operator@example.com")
        ada, first = await sell_with_decline_and_promotion(story)
        grace, second = await sell_with_three_d_secure(story)
        await complete_and_release(story, ada, first)
        await give_away(story)
        await sell_last_seat(story, operator)
        await refund_in_full(story, operator, grace, second)
        await dispute(story, operator)
        await show_books(story, operator)
        receipt = await keep_receipt(story, ada, first)
        story.chapter("The oracle")
        story.expect(await verify(), "every invariant holds")
        story.tell("commerce verify: every invariant holds")
        story.console.print(
            f"\n[bold green]{story.steps} steps in {time.monotonic() - started:.1f} s, all as expected.[/]"
        )
        show_addresses(story, namespace, receipt)
