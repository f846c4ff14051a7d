"""Sums without rounding. Pure."""

from __future__ import annotations

SMALLEST_BITS = 1074  # every finite double is a whole number of 2**-1074, the smallest one above zero


class ExactSum:
    """The sum of any finite numbers: kept exactly, rounded once when it is asked for, the same in every order.

    Floats are kept as one integer, a count of the smallest double: a sum whose parts exceed the range of a float may
    come back into it, and a thousand small ones beside a large one are not lost. It takes at most 300 bytes as long as
    the floats are below a million million or so.

    Attributes:
        count: how many numbers it is made of.
    """

    __slots__ = ("_has_floats", "_integers", "_smallest", "count")

    def __init__(self) -> None:
        self.count = 0
        self._integers = 0
        self._smallest = 0
        self._has_floats = False

    def add(self, value: float) -> None:
        """Take one number.

        Raises:
            ValueError, OverflowError: it is not a number, or infinite; the sum is as before.
        """
        if isinstance(value, int):
            self._integers += value
        else:
            numerator, denominator = value.as_integer_ratio()  # the denominator is a power of two
            self._smallest += numerator << (SMALLEST_BITS + 1 - denominator.bit_length())
            self._has_floats = True
        self.count += 1

    def total(self) -> int | float:
        """Return the sum: an integer when all numbers were, else the nearest float.

        Raises:
            OverflowError: floats are among them, and the sum is beyond the range of one.
        """
        if not self._has_floats:
            return self._integers
        return ((self._integers << SMALLEST_BITS) + self._smallest) / (1 << SMALLEST_BITS)
