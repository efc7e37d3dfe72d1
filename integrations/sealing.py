"""Encryption of secrets at rest: AES-256-GCM with a key id, so that keys can be rotated."""

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BYTES = 32


class Sealer:
    """Seals with the first key, opens with any of them."""

    def __init__(self, keys_setting: str) -> None:
        """`keys_setting` is `SECRETS_KEY`: `keyid:base64url(32 bytes)`, several separated by commas."""
        self._keys: dict[str, bytes] = {}
        for part in filter(None, (part.strip() for part in keys_setting.split(","))):
            key_id, _, encoded = part.partition(":")
            try:
                key = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except (binascii.Error, ValueError) as error:
                raise ValueError(f"SECRETS_KEY: key {key_id!r} is not base64url") from error
            if not key_id or len(key) != _KEY_BYTES:
                raise ValueError("SECRETS_KEY: each key is `keyid:base64url(32 bytes)`")
            self._keys[key_id] = key
        if not self._keys:
            raise ValueError("SECRETS_KEY is empty")
        self._current = next(iter(self._keys))

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt; `context` binds the result to its place, so that it can't be moved to another row."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self._current]).encrypt(nonce, plain, context.encode())
        return self._current.encode() + b":" + nonce + sealed

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made with the same context; ValueError when it was tampered with."""
        key_id, _, rest = sealed.partition(b":")
        key = self._keys.get(key_id.decode(errors="replace"))
        if key is None:
            raise ValueError("sealed with a key that SECRETS_KEY no longer has")
        try:
            return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], context.encode())
        except InvalidTag as error:
            raise ValueError("sealed data does not verify") from error

    def fingerprints(self, data: bytes) -> tuple[str, ...]:
        """HMAC-SHA256 under each key, the current one first: tells equal data without keeping it."""
        return tuple(hmac.new(key, data, hashlib.sha256).hexdigest() for key in self._keys.values())
