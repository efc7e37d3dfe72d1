"""An instructor's own earnings."""

from fastapi import APIRouter

from api.dependencies import Instructor, SessionDep
from api.idempotency import CommerceRoute
from api.schemas.orders import money
from api.schemas.revenue import CourseEarnings, Earnings
from domain.errors import NotFound
from domain.ids import instructor_payee
from models.queries import journals, people

router = APIRouter(route_class=CommerceRoute, tags=["splits"])


@router.get("/v1/earnings", operation_id="get_earnings")
async def get_earnings(caller: Instructor, session: SessionDep) -> Earnings:
    """Accrued, releasable, released and reversed, by course and currency."""
    user = await people.get(session, caller.user_id)
    if user is None:
        raise NotFound("no such user")
    payee = instructor_payee(user.lms_user_id)
    return Earnings(
        payee_ref=payee,
        data=[
            CourseEarnings(
                course_id=row.course_id,
                currency=row.currency,
                accrued=money(row.accrued, row.currency),
                releasable=money(row.releasable, row.currency),
                released=money(row.released, row.currency),
                reversed=money(row.reversed, row.currency),
            )
            for row in await journals.earnings(session, payee)
        ],
    )
