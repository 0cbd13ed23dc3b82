"""A mistake in a value of several kinds is one problem."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from bench.choice import either

KIND = Annotated[int, Field(ge=1)] | Literal["all"]
TOLD = TypeAdapter(Annotated[KIND, either("a number, or all")])


@pytest.mark.parametrize("given", [0, "ten", {"a": 1}, None])
def test_one_problem_for_one_mistake(given: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        TOLD.validate_python(given)
    (problem,) = caught.value.errors()
    assert problem["loc"] == ()
    assert problem["msg"] == f"{given!r} is not possible: give a number, or all"


def test_what_is_possible_and_the_schema_stay() -> None:
    assert [TOLD.validate_python(given) for given in (1, "all")] == [1, "all"]
    assert TOLD.json_schema() == TypeAdapter(KIND).json_schema()
