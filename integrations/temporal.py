"""The connection to Temporal."""

from pathlib import Path

from temporalio.client import Client, TLSConfig
from temporalio.converter import DataConverter

from integrations.payload_codec import sealing_converter
from integrations.request_ids import RequestIds
from integrations.sealing import Sealer


async def connect(
    address: str,
    namespace: str,
    *,
    sealer: Sealer | None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    api_key: str | None = None,
    lazy: bool = False,
) -> Client:
    """Connect; `tls_cert` is a PEM file's path, `tls_key` the key's path. `lazy` connects at first use.

    With a `sealer` all payloads are encrypted; without, they stand in histories as plain JSON.
    """
    tls: TLSConfig | bool = api_key is not None
    if tls_cert is not None and tls_key is not None:
        tls = TLSConfig(
            client_cert=Path(tls_cert).read_bytes(), client_private_key=Path(tls_key).read_bytes()
        )
    return await Client.connect(
        address,
        namespace=namespace,
        tls=tls,
        api_key=api_key,
        lazy=lazy,
        interceptors=[RequestIds()],
        data_converter=DataConverter.default if sealer is None else sealing_converter(sealer),
    )
