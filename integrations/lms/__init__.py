"""LMS adapters behind one port; `make_lms` chooses by the setting `LMS_KIND`."""

import httpx

from domain.errors import Misconfigured
from integrations.lms.port import Lms, LmsCheck, LmsUser, PollsCompletion
from integrations.lms.standin import StandinLms

__all__ = ["Lms", "LmsCheck", "LmsUser", "PollsCompletion", "make_lms"]


def make_lms(kind: str, base_url: str, token: str, http: httpx.AsyncClient) -> Lms:
    """The adapter of this kind; Misconfigured for a kind that has none."""
    if kind == "standin":
        return StandinLms(base_url, token, http)
    raise Misconfigured(f"LMS_KIND={kind!r} has no adapter in this version; known kinds: standin")
