"""Values of several kinds in suites and options: pydantic names each kind's problem, a user made one mistake."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError


def either(wanted: str) -> WrapValidator:
    """Of a union, in an Annotated: a value of none of its kinds is one problem, whose remedy is to give `wanted`."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            told = {"value": f"{value!r:.80}", "wanted": wanted}
            raise PydanticCustomError("choice", "{value} is not possible: give {wanted}", told) from error

    return WrapValidator(check)
