"""Checkout as the API shows it: what it needs, and what is left to pay."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.schemas.common import AffiliateCode, Body, Channel, Flag, Money, Output, ShortText
from api.schemas.orders import OrderView
from integrations.documents.locales import is_locale


def _known_locale(value: str) -> str:
    if not is_locale(value):
        raise ValueError(f"{value!r} names no language that we know, such as `de` or `de-AT`")
    return value


Locale = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}$"), AfterValidator(_known_locale)
]
# It has to find its place on a document.
AddressLine = Annotated[ShortText, Field(max_length=200)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["US"])]


class BillingAddress(Body):
    """Where the buyer is: decides the tax. A business may add its name and its tax id (VAT number)."""

    country: Annotated[CountryCode, Field(description="ISO 3166-1, two letters: it decides the tax.")]
    postal_code: Annotated[
        Annotated[ShortText, Field(max_length=20)] | None,
        Field(description="Where taxes differ within the country, as in the US."),
    ] = None
    state: Annotated[
        Annotated[str, Field(pattern=r"^[A-Z0-9-]{1,6}$", examples=["NY"])] | None,
        Field(description="The second part of its ISO 3166-2 code, such as `NY`."),
    ] = None
    city: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    line1: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    line2: Annotated[AddressLine | None, Field(description="For the documents.")] = None
    name: Annotated[AddressLine | None, Field(description="Of a person or business, for the documents.")] = (
        None
    )
    tax_id: Annotated[
        Annotated[ShortText, Field(max_length=30)] | None, Field(description="The VAT number of a business.")
    ] = None


class CheckoutBody(Body):
    """What checkout needs; `expected_total` guards against a price that changed meanwhile.

    With `use_store_credit` the caller's credit pays as far as it goes, and `expected_due` guards what is
    left for the card: another checkout may have taken the credit.
    `locale` (`de`, `de-AT`) is the language of invoice, receipt and credit notes; without it the request's
    Accept-Language, then the country decides.
    """

    billing_address: Annotated[BillingAddress, Field(description="Where the buyer is: decides the tax.")]
    use_store_credit: Annotated[
        Flag, Field(description="Whether the caller's store credit pays as far as it goes.")
    ] = False
    expected_total: Annotated[
        Money | None,
        Field(description="The total that the buyer has seen; with another one nothing is bought."),
    ] = None
    expected_due: Annotated[
        Money | None,
        Field(
            description="What the buyer has seen to be left for the card; with another sum nothing is bought."
        ),
    ] = None
    return_url: Annotated[
        Annotated[str, Field(max_length=2000, pattern=r"^https?://[^\s\x00]+$")] | None,
        Field(description="Kept with the order; the front end itself gives it to the processor's library."),
    ] = None
    locale: Annotated[
        Locale | None,
        Field(
            description="The language of invoice, receipt and credit notes, such as `de` or `de-AT`; else "
            "the request's Accept-Language, then the country decides."
        ),
    ] = None
    channel: Annotated[
        Channel | None, Field(description="Where the sale is made; split rules may differ by it.")
    ] = None
    affiliate: Annotated[
        AffiliateCode | None,
        Field(description="The code of who brought the sale; one that is unknown or off is refused."),
    ] = None


class PaymentToMake(Output):
    """What the front end hands to the processor's library."""

    provider: Annotated[Literal["stripe"], Field(description="Whose library makes the payment.")]
    payment_intent_id: Annotated[str, Field(description="The processor's id.")]
    client_secret: Annotated[
        str, Field(description="What the processor's library confirms the payment with.")
    ]
    publishable_key: Annotated[str, Field(description="The key that the processor's library starts with.")]


class CheckoutAnswer(Output):
    """The order, and the payment to make; null when nothing is due."""

    order: Annotated[OrderView, Field(description="The order as it stands now.")]
    payment: Annotated[
        PaymentToMake | None, Field(description="What is left to pay by card; null when nothing is.")
    ]
