"""What is sold: items, prices, bundles, promotions, tax rates, split rules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.columns import (
    created,
    flag,
    json_object,
    minor_units,
    moment,
    primary_key,
    reference,
    text_list,
    uuid_column,
    whole,
)


class CatalogItem(SQLModel, table=True):
    """A course, a dated registration with seats, or a bundle.

    Items with the same `run_of` are runs of one course; without it, those with the same `lms_course_id`.
    `seats_taken` counts reserved and sold seats; the check is what stops the last seat from being sold
    twice, whatever the code above it does.
    """

    __tablename__ = "catalog_item"
    __table_args__ = (
        CheckConstraint("seats_taken >= 0", name="seats_not_negative"),
        CheckConstraint("capacity IS NULL OR seats_taken <= capacity", name="seats_within_capacity"),
        CheckConstraint("type IN ('course', 'registration', 'bundle')", name="item_type"),
        CheckConstraint("(type = 'bundle') = (lms_course_id IS NULL)", name="bundle_has_no_course"),
    )

    id: UUID = primary_key()
    slug: str = Field(unique=True)
    type: str
    title: str
    description: str
    lms_course_id: str | None
    available: bool = flag(default=True)
    available_from: datetime | None = moment()
    available_until: datetime | None = moment()
    starts_at: datetime | None = moment()
    run_of: str | None
    # A dated run that does not take place: nobody takes a seat any more.
    cancelled_at: datetime | None = moment()
    capacity: int | None = whole(nullable=True)
    seats_taken: int = whole(default=0)
    tax_code: str
    tax_behavior: str = Field(default="exclusive", sa_column_kwargs={"server_default": "exclusive"})
    refund_window_days: int | None = whole(nullable=True)
    recognition: str = Field(default="on_completion", sa_column_kwargs={"server_default": "on_completion"})
    presentation: str = Field(default="principal", sa_column_kwargs={"server_default": "principal"})
    payees: list[str] = text_list()
    version: int = whole(default=1)
    created_at: datetime = created()


class ItemPrice(SQLModel, table=True):
    """The list price of an item in one currency."""

    __tablename__ = "item_price"
    __table_args__ = (
        UniqueConstraint("item_id", "currency"),
        CheckConstraint("amount >= 0", name="price_not_negative"),
    )

    id: UUID = primary_key()
    item_id: UUID = reference("catalog_item.id")
    currency: str = Field(max_length=3)
    amount: int = minor_units()
    position: int = whole(default=0)


class BundleMember(SQLModel, table=True):
    """One item of a bundle."""

    __tablename__ = "bundle_member"
    __table_args__ = (UniqueConstraint("bundle_id", "item_id"),)

    id: UUID = primary_key()
    bundle_id: UUID = reference("catalog_item.id")
    item_id: UUID = reference("catalog_item.id")
    position: int = whole(default=0)


class Promotion(SQLModel, table=True):
    """A promotion code. `uses` counts reserved and consumed uses, checked against the limit."""

    __tablename__ = "promotion"
    __table_args__ = (
        CheckConstraint("uses >= 0", name="uses_not_negative"),
        CheckConstraint("usage_limit IS NULL OR uses <= usage_limit", name="uses_within_limit"),
        CheckConstraint(
            "(kind = 'percent' AND percent_bp BETWEEN 1 AND 10000 AND amount_off IS NULL) OR "
            "(kind = 'fixed' AND amount_off > 0 AND currency IS NOT NULL AND percent_bp IS NULL)",
            name="promotion_kind",
        ),
    )

    id: UUID = primary_key()
    code: str = Field(unique=True)
    kind: str
    percent_bp: int | None = whole(nullable=True)
    amount_off: int | None = minor_units(nullable=True)
    currency: str | None
    item_ids: list[str] = text_list()
    min_subtotal: int | None = minor_units(nullable=True)
    max_discount: int | None = minor_units(nullable=True)
    usage_limit: int | None = whole(nullable=True)
    usage_limit_per_user: int | None = whole(nullable=True)
    uses: int = whole(default=0)
    first_purchase_only: bool = flag(default=False)
    funding: str = Field(default="shared", sa_column_kwargs={"server_default": "shared"})
    stackable: bool = flag(default=False)
    priority: int = whole(default=0)
    starts_at: datetime | None = moment()
    ends_at: datetime | None = moment()
    active: bool = flag(default=True)
    version: int = whole(default=1)
    created_at: datetime = created()


class PromotionUse(SQLModel, table=True):
    """One use of a promotion by one order: reserved, consumed on payment, or released."""

    __tablename__ = "promotion_use"
    __table_args__ = (
        UniqueConstraint("promotion_id", "order_id"),
        CheckConstraint("state IN ('reserved', 'consumed', 'released')", name="use_state"),
    )

    id: UUID = primary_key()
    promotion_id: UUID = reference("promotion.id")
    order_id: UUID = reference("orders.id")
    user_id: UUID = reference("commerce_user.id")
    state: str
    created_at: datetime = created()


class TaxRate(SQLModel, table=True):
    """One rate of the built-in table, in parts per million, valid within `[valid_from, valid_to)`.

    An empty `state` is the whole country, an empty `tax_code` every kind of goods without a row of its own.
    """

    __tablename__ = "tax_rate"
    __table_args__ = (UniqueConstraint("country", "state", "jurisdiction", "tax_code", "valid_from"),)

    id: UUID = primary_key()
    country: str = Field(max_length=2)
    state: str = Field(default="", sa_column_kwargs={"server_default": ""})
    jurisdiction: str
    tax_code: str = Field(default="", sa_column_kwargs={"server_default": ""})
    ppm: int = whole()
    valid_from: datetime = moment(nullable=False)
    valid_to: datetime | None = moment()
    source: str


class SplitRule(SQLModel, table=True):
    """One version of a revenue-split rule; never edited. An empty scope is the platform's default.

    Versions of one scope and priority never overlap in time: an exclusion constraint (migration 0017).
    `referral_bps` goes off the top to the affiliate who brought the sale; `hold_days` and `release` say how
    long earnings are held, and whether completion ends the hold.
    """

    __tablename__ = "split_rule"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="split_rule_period"),
        CheckConstraint("referral_bps BETWEEN 0 AND 10000", name="rule_referral"),
        CheckConstraint("hold_days >= 0", name="rule_hold"),
        CheckConstraint("release IN ('after_hold', 'on_completion')", name="rule_release"),
    )

    id: UUID = primary_key()
    order_line_id: UUID | None = uuid_column(nullable=True)
    item_id: UUID | None = reference("catalog_item.id", nullable=True)
    channel: str | None
    payee: str | None
    currency: str | None = Field(max_length=3)
    priority: int = whole(default=0)
    valid_from: datetime = moment(nullable=False)
    valid_to: datetime | None = moment()
    rule: dict[str, Any] = json_object()
    referral_bps: int = whole(default=0)
    hold_days: int | None = whole(nullable=True)
    release: str = Field(default="after_hold", sa_column_kwargs={"server_default": "after_hold"})
    created_at: datetime = created()
