"""The life of a sale: cart, order, lines, payments, refunds, documents, timeline."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Sequence,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlmodel import Field, SQLModel

from models.columns import (
    created,
    flag,
    json_list,
    json_object,
    minor_units,
    moment,
    primary_key,
    reference,
    text_list,
    uuid_column,
    whole,
)

ORDER_NUMBER_SEQUENCE = Sequence("order_number_seq", metadata=SQLModel.metadata)


class Cart(SQLModel, table=True):
    """A shopping cart; at most one open per user. Checkout closes it."""

    __tablename__ = "cart"
    __table_args__ = (Index("one_open_cart", "user_id", unique=True, postgresql_where=text("open")),)

    id: UUID = primary_key()
    user_id: UUID = reference("commerce_user.id")
    open: bool = flag(default=True)
    currency: str | None
    promo_codes: list[str] = text_list()
    version: int = whole(default=1)
    created_at: datetime = created()


class CartLine(SQLModel, table=True):
    """One item in a cart. The title and price shown come from the catalogue, not from here."""

    __tablename__ = "cart_line"
    __table_args__ = (
        UniqueConstraint("cart_id", "item_id"),
        CheckConstraint("quantity = 1", name="one_of_each"),
    )

    id: UUID = primary_key()
    cart_id: UUID = reference("cart.id")
    item_id: UUID = reference("catalog_item.id")
    quantity: int = whole(default=1)
    created_at: datetime = created()


class Command(SQLModel, table=True):
    """What a caller asked for, committed before a workflow starts; its id becomes the object's id."""

    __tablename__ = "command"

    id: UUID = uuid_column(primary=True)
    kind: str
    user_id: UUID = reference("commerce_user.id")
    body: dict[str, Any] = json_object()
    created_at: datetime = created()


class Order(SQLModel, table=True):
    """An order. Amounts in minor units of `currency`; axes as in `domain.orders`.

    `store_credit` is the part of the total that the customer's credit pays: reserved while the payment is
    open, spent with it, free again when the order ends unpaid. `amount_paid` counts money and credit.
    `taxation` is what was decided about its tax (`domain.taxation.TaxDecision` as JSON).
    """

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("total >= 0 AND amount_paid >= 0", name="amounts_not_negative"),
        CheckConstraint("amount_refunded BETWEEN 0 AND amount_paid", name="refunded_within_paid"),
        CheckConstraint("store_credit BETWEEN 0 AND total", name="credit_within_total"),
        Index(
            "orders_reserving_credit",
            "user_id",
            "currency",
            postgresql_where=text("store_credit > 0 AND payment_state IN ('pending', 'processing')"),
        ),
        CheckConstraint(
            "payment_state IN ('pending', 'processing', 'paid', 'canceled', 'expired', 'failed')",
            name="payment_state",
        ),
        CheckConstraint(
            "fulfilment_state IN ('none', 'fulfilling', 'fulfilled', 'failed')", name="fulfilment_state"
        ),
        CheckConstraint("dispute_state IN ('none', 'open', 'won', 'lost')", name="dispute_state"),
        Index("orders_by_user", "user_id", "id"),
    )

    id: UUID = uuid_column(primary=True)
    number: str = Field(unique=True)
    user_id: UUID = reference("commerce_user.id", index=False)
    cart_id: UUID = reference("cart.id", unique=True)
    currency: str = Field(max_length=3)
    payment_state: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    fulfilment_state: str = Field(default="none", sa_column_kwargs={"server_default": "none"})
    dispute_state: str = Field(default="none", sa_column_kwargs={"server_default": "none"})
    subtotal: int = minor_units()
    discount: int = minor_units()
    tax: int = minor_units()
    total: int = minor_units()
    store_credit: int = minor_units(default=0)
    amount_paid: int = minor_units(default=0)
    amount_refunded: int = minor_units(default=0)
    promo_codes: list[str] = text_list()
    billing_address: dict[str, Any] = json_object()
    return_url: str | None
    locale: str | None
    taxation: dict[str, Any] | None = json_object(nullable=True)
    channel: str | None
    affiliate_id: UUID | None = reference("affiliate.id", nullable=True, index=False)
    intent_attempts: int = whole(default=0)
    expires_at: datetime = moment(nullable=False)
    created_at: datetime = created()
    paid_at: datetime | None = moment()


class OrderLine(SQLModel, table=True):
    """One course sold. A bundle has been exploded; prices, tax and rules are snapshots.

    `ledger` is the line's state in the ledger (`domain.ledger.LineLedger` as JSON); whoever posts for
    the line locks this row first. `awaits_revenue` follows from it: recognition or a release is to come.
    """

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "ordinal"),
        CheckConstraint("list_net - discount_net = net", name="line_net"),
        CheckConstraint("net + tax = gross", name="line_gross"),
        CheckConstraint("release IN ('after_hold', 'on_completion')", name="line_release"),
        Index(
            "lines_by_payee",
            text("(ledger->'payees') jsonb_path_ops"),
            postgresql_using="gin",
        ),
    )

    id: UUID = primary_key()
    order_id: UUID = reference("orders.id")
    ordinal: int = whole()
    item_id: UUID = reference("catalog_item.id")
    bundle_id: UUID | None = reference("catalog_item.id", nullable=True, index=False)
    title: str
    lms_course_id: str
    unit_price: int = minor_units()
    list_net: int = minor_units()
    discount_net: int = minor_units()
    net: int = minor_units()
    tax: int = minor_units()
    gross: int = minor_units()
    taxes: list[dict[str, Any]] = json_list()
    holds_seat: bool = flag(default=False)
    platform_discount: int = minor_units(default=0)
    presentation: str = Field(default="principal", sa_column_kwargs={"server_default": "principal"})
    recognition: str
    recognition_deadline: datetime | None = moment()
    refund_window_days: int = whole()
    hold_seconds: int = whole()
    release: str = Field(default="after_hold", sa_column_kwargs={"server_default": "after_hold"})
    split_rule_id: UUID | None = reference("split_rule.id", nullable=True, index=False)
    split: dict[str, Any] = json_object()
    ledger: dict[str, Any] | None = json_object(nullable=True)
    awaits_revenue: bool = flag(default=True)
    accrued_at: datetime | None = moment()
    released_at: datetime | None = moment()


class Payment(SQLModel, table=True):
    """One payment intent of an order. `attempt` was stored before the processor was asked."""

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("order_id", "attempt"),
        Index("one_applied_payment", "order_id", unique=True, postgresql_where=text("applied")),
    )

    id: UUID = primary_key()
    order_id: UUID = reference("orders.id")
    attempt: int = whole()
    intent_id: str | None = Field(unique=True)
    status: str
    amount: int = minor_units()
    currency: str = Field(max_length=3)
    charge_id: str | None
    applied: bool = flag(default=False)
    failure_code: str | None
    failure_message: str | None
    created_at: datetime = created()
    succeeded_at: datetime | None = moment()


class Refund(SQLModel, table=True):
    """Money going back, for the reason that `kind` (`domain.orders.RefundKind`) names.

    `credit_amount` of it goes back as store credit; without any money to return it has no payment.
    """

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("amount > 0", name="refund_positive"),
        CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="refund_status"),
        CheckConstraint("kind IN ('order', 'correction', 'goodwill', 'unapplied')", name="refund_kind"),
        CheckConstraint("wish IN ('reissue', 'cancel')", name="refund_wish"),
        CheckConstraint("canceled_at IS NULL OR status = 'failed'", name="refund_canceled"),
        CheckConstraint(
            "credit_amount BETWEEN 0 AND amount AND (payment_id IS NOT NULL OR credit_amount = amount)",
            name="refund_credit",
        ),
    )

    id: UUID = uuid_column(primary=True)
    order_id: UUID = reference("orders.id")
    payment_id: UUID | None = reference("payment.id", nullable=True)
    kind: str
    amount: int = minor_units()
    credit_amount: int = minor_units(default=0)
    currency: str = Field(max_length=3)
    status: str = Field(default="pending", sa_column_kwargs={"server_default": "pending"})
    reason: str
    keep_access: bool = flag(default=False)
    issue_attempts: int = whole(default=0)
    provider_refund_id: str | None = Field(unique=True)
    failure_reason: str | None
    requested_by: UUID | None = reference("commerce_user.id", nullable=True, index=False)
    created_at: datetime = created()
    settled_at: datetime | None = moment()
    # Of a failed one: given up by an operator; or what the operator wishes, until it is done.
    canceled_at: datetime | None = moment()
    wish: str | None


class RefundLine(SQLModel, table=True):
    """What a refund takes from one order line, gross, in minor units."""

    __tablename__ = "refund_line"
    __table_args__ = (UniqueConstraint("refund_id", "line_id"),)

    id: UUID = primary_key()
    refund_id: UUID = reference("refund.id")
    line_id: UUID = reference("order_line.id")
    gross: int = minor_units()


class OrderEvent(SQLModel, table=True):
    """One line of an order's timeline: what happened, when, why."""

    __tablename__ = "order_event"
    __table_args__ = (UniqueConstraint("order_id", "event_key"),)

    id: UUID = primary_key()
    order_id: UUID = reference("orders.id")
    event_key: str
    kind: str
    detail: str
    at: datetime = created()


class Document(SQLModel, table=True):
    """An invoice, receipt or credit note as immutable JSON; its PDF is rendered from it on demand.

    One that names a refund is its credit note, or the invoice or receipt that takes that back; one that
    names a dispute is the credit note of its loss. A credit note of neither is of a returned payment.

    `country` is where the sale is taxed; `sha256` is of the canonical JSON with the number.
    """

    __tablename__ = "document"
    __table_args__ = (
        UniqueConstraint("entity", "country", "kind", "fiscal_year", "serial"),
        UniqueConstraint("kind", "order_id", "refund_id", "dispute_id", postgresql_nulls_not_distinct=True),
    )

    id: UUID = primary_key()
    entity: str
    country: str = Field(max_length=2)
    kind: str
    fiscal_year: int = whole()
    serial: int = whole()
    number: str
    order_id: UUID = reference("orders.id")
    refund_id: UUID | None = reference("refund.id", nullable=True)
    dispute_id: UUID | None = reference("dispute.id", nullable=True)
    issued_on: date = Field(sa_column=Column(Date, nullable=False))
    body: dict[str, Any] = json_object()
    sha256: str
    created_at: datetime = created()


class DocumentCounter(SQLModel, table=True):
    """The last number of each gapless series; locked by the issuing transaction's last statement."""

    __tablename__ = "document_counter"

    entity: str = Field(primary_key=True)
    country: str = Field(primary_key=True, max_length=2)
    kind: str = Field(primary_key=True)
    fiscal_year: int = Field(primary_key=True)
    last_serial: int = whole()


class TaxReport(SQLModel, table=True):
    """What a tax calculator has to be told of: one document; written with it, done when `reported_at` is.

    `provider_id` is the calculator's transaction or reversal; `lines` of a sale are its line items by the
    ordinal of the order line. A `failure` is its refusal for good: an operator's task.
    """

    __tablename__ = "tax_report"
    __table_args__ = (
        Index(
            "open_tax_reports",
            "created_at",
            postgresql_where=text("reported_at IS NULL AND failure IS NULL"),
        ),
    )

    document_id: UUID = Field(
        sa_column=Column(PG_UUID(as_uuid=True), ForeignKey("document.id"), primary_key=True)
    )
    order_id: UUID = reference("orders.id")
    provider_id: str | None
    lines: dict[str, Any] | None = json_object(nullable=True)
    failure: str | None
    created_at: datetime = created()
    reported_at: datetime | None = moment()
