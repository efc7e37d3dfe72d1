"""An order line moves to another run of its course, or gives up its seat and access; money is not touched."""

from activities.boundary import Transaction
from domain.errors import Conflict, InvalidInput
from models.queries import catalog, entitlements, order_lines, resolutions
from models.queries.order_lines import LineRow
from models.queries.resolutions import ResolutionRow


async def move_to_other_run(tx: Transaction, row: ResolutionRow, line: LineRow, item_id: str | None) -> str:
    """Take a seat there and free the one here; the access follows. Returns the run's title.

    The caller holds the locks of the order and its lines. Raises InvalidInput `run_not_offered`, Conflict
    `sold_out` or `already_owned`: then nothing is written.
    """
    runs = [] if item_id is None else await resolutions.runs_for(tx.session, row.id, item_id)
    if not runs:
        raise InvalidInput("this is no other run of the course at its price", code="run_not_offered")
    run = runs[0]
    moves_access = run.lms_course_id != line.lms_course_id
    if moves_access and await entitlements.owns(tx.session, row.user_id, [run.lms_course_id]):
        raise Conflict("the learner has a right to that run's course already", code="already_owned")
    # In id order, as everybody takes and frees seats, so that two who swap never wait for each other.
    for each in sorted({line.item_id, run.item_id}):
        if each == run.item_id and run.has_seats:
            if not await catalog.take_seat(tx.session, run.item_id):
                raise Conflict("no seat is left in that run", code="sold_out")
        elif each == line.item_id and line.holds_seat:
            await catalog.release_seat(tx.session, line.item_id)
    await resolutions.move_line(tx.session, line.id, run)
    if moves_access:
        await resolutions.move_right(tx.session, line.id)
    return run.title


async def end_line(tx: Transaction, line: LineRow) -> None:
    """The line gives no access any more, and holds no seat."""
    await entitlements.unjustify(tx.session, [line.id])
    for item_id in await order_lines.release_seats_of(tx.session, [line.id]):
        await catalog.release_seat(tx.session, item_id)
