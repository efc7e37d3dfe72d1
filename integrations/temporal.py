"""The connection to Temporal."""

from pathlib import Path

from temporalio.client import Client, TLSConfig


async def connect(
    address: str,
    namespace: str,
    *,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    api_key: str | None = None,
    lazy: bool = False,
) -> Client:
    """Connect; `tls_cert` is a PEM file's path, `tls_key` the key's path. `lazy` connects at first use."""
    tls: TLSConfig | bool = api_key is not None
    if tls_cert is not None and tls_key is not None:
        tls = TLSConfig(
            client_cert=Path(tls_cert).read_bytes(), client_private_key=Path(tls_key).read_bytes()
        )
    return await Client.connect(address, namespace=namespace, tls=tls, api_key=api_key, lazy=lazy)
