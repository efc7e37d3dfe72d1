"""The cart, and what it costs at an address."""

from typing import Annotated

from pydantic import Field

from api.schemas.checkout import BillingAddress
from api.schemas.common import Body, Currency, Flag, IdText, ItemId, Money, Output, ShortText, Whole


class CartLineView(Output):
    """One item in the cart."""

    id: Annotated[str, Field(description="The line: changes and removals name it.")]
    item_id: Annotated[str, Field(description="The item.")]
    title: Annotated[str, Field(description="The item's title now.")]
    quantity: Annotated[int, Field(description="1: a course is bought once.")]
    unit_price: Annotated[Money, Field(description="The list price.")]
    line_total: Annotated[Money, Field(description="The list price times the quantity.")]


class Totals(Output):
    """`subtotal - discount + tax = total`."""

    subtotal: Annotated[Money, Field(description="The list prices, without tax.")]
    discount: Annotated[Money, Field(description="What promotions take off.")]
    tax: Annotated[Money, Field(description="All taxes.")]
    total: Annotated[Money, Field(description="`subtotal - discount + tax`.")]


class CartProblem(Output):
    """Why the cart can't be bought as it stands."""

    code: Annotated[str, Field(description="Stable.")]
    detail: Annotated[str, Field(description="The same in words.")]
    line_id: Annotated[
        str | None, Field(description="The line that it is about; null when it is the whole cart.")
    ]
    reason: Annotated[
        str | None, Field(description="Of `promo_invalid`: why the code can't be used; null for other codes.")
    ]


class CartView(Output):
    """The open cart; tax is added at the quote, which knows the address.

    `promo_codes` are all codes on it, `promo_code` the first.
    """

    id: Annotated[str, Field(description="Its id: checkout closes the cart, and the next one has another.")]
    currency: Annotated[str | None, Field(description="ISO 4217; null while the cart is empty.")]
    lines: Annotated[list[CartLineView], Field(description="What lies in it, oldest first.")]
    promo_code: Annotated[
        str | None, Field(description="The first of `promo_codes`; null when there is none.")
    ]
    promo_codes: Annotated[list[str], Field(description="All codes on the cart.")]
    totals: Annotated[Totals, Field(description="Without tax: the quote has it.")]
    problems: Annotated[
        list[CartProblem], Field(description="Why it can't be bought as it stands; none when it can.")
    ]


class CartItemBody(Body):
    """An item for the cart; a course is bought once, so the quantity is 1."""

    item_id: Annotated[IdText, Field(description="The item to buy.")]
    quantity: Annotated[
        Annotated[Whole, Field(ge=1, le=1)], Field(description="1: a course is bought once.")
    ] = 1
    currency: Annotated[
        Currency | None,
        Field(description="ISO 4217: which of the prices of the item; all lines of a cart have one."),
    ] = None


class CartLinePatch(Body):
    """A line's quantity; 0 takes it out."""

    quantity: Annotated[Annotated[Whole, Field(ge=0, le=1)], Field(description="0 takes the line out.")]


class PromoBody(Body):
    """A promotion code as the learner types it."""

    code: Annotated[
        Annotated[ShortText, Field(min_length=1, max_length=50)],
        Field(description="As the learner types it."),
    ]


class QuoteBody(Body):
    """Where the buyer is, and whether store credit is to pay."""

    billing_address: Annotated[BillingAddress, Field(description="Where the buyer is: decides the tax.")]
    use_store_credit: Annotated[
        Flag, Field(description="Whether the caller's store credit is to pay as far as it goes.")
    ] = False


class TaxLine(Output):
    """One tax on one line."""

    jurisdiction: Annotated[
        str,
        Field(
            description="Whose tax it is, as documents name it: `DE`, `US-NY`. One that ends in `-RC` is "
            "owed by the buyer."
        ),
    ]
    rate_ppm: Annotated[int, Field(description="Parts per million: 19 % is 190000.")]
    amount: Annotated[Money, Field(description="The tax on this line, rounded for the line.")]


class QuoteLine(Output):
    """One course as it would be sold; a bundle has become its parts."""

    item_id: ItemId
    bundle_id: Annotated[
        str | None, Field(description="The bundle that it lies in; null when it is bought by itself.")
    ]
    title: Annotated[str, Field(description="The item's title now.")]
    list_price: Annotated[
        Money, Field(description="Without tax; in a bundle, its share of the bundle's price.")
    ]
    discount: Annotated[Money, Field(description="What promotions take off, without tax.")]
    net: Annotated[Money, Field(description="`list_price - discount`: what is taxed.")]
    taxes: Annotated[list[TaxLine], Field(description="By jurisdiction; none where nothing is taxed.")]
    total: Annotated[Money, Field(description="`net` and its taxes.")]


class QuoteView(Output):
    """The totals with tax by line; `store_credit` would pay a part, which leaves `due` for the card.

    With `reverse_charge` the buyer owes the tax, by its VAT number.
    """

    totals: Annotated[
        Totals, Field(description="Of all lines: `total` is what `expected_total` of the checkout guards.")
    ]
    store_credit: Annotated[Money, Field(description="What store credit would pay.")]
    due: Annotated[Money, Field(description="What is left for the card.")]
    lines: Annotated[list[QuoteLine], Field(description="What the order's lines would be.")]
    reverse_charge: Annotated[bool, Field(description="Whether the buyer owes the tax, by its VAT number.")]
    problems: Annotated[
        list[CartProblem], Field(description="Why the cart can't be bought as it stands; none when it can.")
    ]
