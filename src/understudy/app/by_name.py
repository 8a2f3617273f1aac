"""Adapters behind names, made when they are first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=str)
V = TypeVar("V")


class ByName(Mapping[K, V], Generic[K, V]):
    """Adapters by name, made when first asked for: a run touches few of them, and making one may need a secret.

    Each is made once, whichever threads ask at the same time: two receivers on one spool would not know of each other's lock.
    """

    def __init__(self, names: tuple[K, ...], make: Callable[[K], V]) -> None:
        self._names = names
        self._make = make
        self._made: dict[K, V] = {}
        self._making = threading.RLock()

    def __getitem__(self, name: K) -> V:
        if name not in self._names:
            raise KeyError(name)
        with self._making:
            if name not in self._made:
                self._made[name] = self._make(name)
            return self._made[name]

    def __iter__(self) -> Iterator[K]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
