"""The secret key of this process, for brokers that want one (CURVE): a file of 40 characters of Z85, as `pons keys` makes it."""

from __future__ import annotations

import os
import stat

import zmq


class BadKey(ValueError):
    """A file that is no key, or that others can read."""


class Key:
    """repr() and str() show the public half alone."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.public: bytes = zmq.curve_public(secret)

    def __repr__(self) -> str:
        return f"Key(public={self.public.decode()!r})"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Key:
        """Raises OSError, and BadKey for what is no key or can be read by others."""
        name = os.fspath(path)
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise BadKey(f"{name}: not a file")
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadKey(f"{name}: others may read it; chmod 600 {name}")
            text = file.read(42).removesuffix(b"\n")
        try:
            if len(text) != 40:
                raise ValueError
            return cls(text)
        except (ValueError, zmq.ZMQError):
            raise BadKey(f"{name}: not a key: 40 characters of Z85, as `pons keys` writes them") from None
