"""The processes of the product look at their LMS when they start."""

import pytest

from tests.e2e.conftest import Shop


@pytest.mark.parametrize("part", ["gateway", "worker"])
async def test_each_process_says_what_it_found_at_the_lms(shop: Shop, part: str) -> None:
    assert f"the LMS at {shop.stack.urls.lms}: stand-in LMS answers" in shop.stack.log_of(part)
