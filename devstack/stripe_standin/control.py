"""interim"""

from typing import Any

import httpx


class StripeControl:
    def __init__(self, base: str) -> None:
        self.http = httpx.AsyncClient(
            base_url=base, timeout=20, headers={"Authorization": "Bearer sk_test_x"}
        )

    async def __aenter__(self) -> "StripeControl":
        return self

    async def __aexit__(self, *a: object) -> None:
        await self.http.aclose()

    async def confirm(self, intent: str, method: str) -> Any:
        return (
            await self.http.post(f"/v1/payment_intents/{intent}/confirm", data={"payment_method": method})
        ).json()

    async def _t(self, method: str, what: str, **g: Any) -> Any:
        r = await self.http.request(method, f"/_test/{what}", json=g)
        assert r.status_code < 300, r.text
        return r.json()

    async def finish_three_d_secure(self, intent: str) -> Any:
        return await self._t("POST", f"payment_intents/{intent}/authenticate", passed=True)

    async def fail_three_d_secure(self, intent: str) -> Any:
        return await self._t("POST", f"payment_intents/{intent}/authenticate", passed=False)

    async def settle(self, intent: str) -> Any:
        return await self._t("POST", f"payment_intents/{intent}/settle")

    async def settle_refund(self, refund: str) -> Any:
        return await self._t("POST", f"refunds/{refund}/settle")

    async def chaos(self, **g: Any) -> Any:
        return await self._t("PUT", "chaos", **g)

    async def clear_chaos(self) -> Any:
        return await self._t("DELETE", "chaos")

    async def pause_deliveries(self) -> Any:
        return await self._t("POST", "deliveries/pause")

    async def resume_deliveries(self) -> Any:
        return await self._t("POST", "deliveries/resume")

    async def fault(self, method: str, path: str, kind: str, count: int = 1) -> Any:
        return await self._t("POST", "faults", method=method, path=path, kind=kind, count=count)
