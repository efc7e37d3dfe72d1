"""A priced cart as the API shows it."""

from api.schemas.cart import CartLineView, CartProblem, CartView, Totals
from api.schemas.orders import money
from models.queries.carts import CartRow
from models.queries.quotes import CartQuote


def totals_view(quote: CartQuote) -> Totals:
    """The totals."""
    return Totals(
        subtotal=money(quote.subtotal, quote.currency),
        discount=money(quote.discount, quote.currency),
        tax=money(quote.tax, quote.currency),
        total=money(quote.total, quote.currency),
    )


def problems_view(quote: CartQuote) -> list[CartProblem]:
    """Why the cart can't be bought as it stands."""
    return [
        CartProblem(code=problem.code, detail=problem.detail, line_id=problem.line_id, reason=problem.reason)
        for problem in quote.problems
    ]


def cart_view(cart: CartRow, quote: CartQuote) -> CartView:
    """The cart with its lines at list price."""
    return CartView(
        id=cart.id,
        currency=cart.currency,
        lines=[
            CartLineView(
                id=line.id,
                item_id=line.item_id,
                title=line.title,
                quantity=line.quantity,
                unit_price=money(line.unit_price, quote.currency),
                line_total=money(line.unit_price * line.quantity, quote.currency),
            )
            for line in quote.shown
        ],
        promo_code=next(iter(cart.promo_codes), None),
        promo_codes=list(cart.promo_codes),
        totals=totals_view(quote),
        problems=problems_view(quote),
    )
