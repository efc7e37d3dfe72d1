"""The LMS's maintenance switch."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.common import Body, Moment, Output, ShortText


class MaintenanceBody(Body):
    """Why, and until when, the LMS is left alone."""

    reason: Annotated[ShortText, Field(description="For operators; learners do not read it.")]
    until: Annotated[
        Moment,
        Field(
            description="When it ends by itself: still to come, and at most 14 days ahead. The example's "
            "year only stands for a time to come: put one within 14 days in its place."
        ),
    ]


class MaintenanceView(Output):
    """The maintenance that is on now; all null when none is."""

    active: Annotated[bool, Field(description="Whether grants and revokes wait now.")]
    reason: Annotated[str | None, Field(description="Why, for operators; null when none is on.")]
    until: Annotated[datetime | None, Field(description="When it ends by itself; null when none is on.")]
    set_by: Annotated[
        str | None, Field(description="Our id of the operator who set it; null when none is on.")
    ]
    set_at: Annotated[
        datetime | None, Field(description="When it was set or changed last; null when none is on.")
    ]
