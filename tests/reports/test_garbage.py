from __future__ import annotations

import gc
import weakref

from reports import garbage


class Ring:
    """What only the search for garbage frees."""

    def __init__(self) -> None:
        self.itself = self


def test_garbage_is_found_at_the_end() -> None:
    with garbage.once():
        known = weakref.ref(Ring())
        assert not gc.isenabled()
        assert known() is not None
    assert gc.isenabled()
    assert known() is None
