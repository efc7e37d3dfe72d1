"""The LMS's maintenance switch."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.common import Body, Moment, Output, ShortText


class MaintenanceBody(Body):
    """Why, and until when, the LMS is left alone."""

    reason: Annotated[ShortText, Field(description="For operators; learners do not read it.")]
    until: Annotated[Moment, Field(description="At most 14 days ahead.")]


class MaintenanceView(Output):
    """The maintenance that is on now; all null when none is."""

    active: bool
    reason: str | None
    until: datetime | None
    set_by: str | None
    set_at: datetime | None
