"""Metric queries over steps: scalars, vectors, operators, sums. Windows over logs come from the caller.

A range query has many steps, an instant query one; the same code does both, with NumPy arrays along time.

Source: Loki pkg/logql/evaluator.go, syntax/ast.go `MergeBinOp`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from sillok.logql import ast
from sillok.model.labels import LabelSet

Values: TypeAlias = npt.NDArray[np.float64]
Presence: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Samples:
    """One series: a value a step, where there is one."""

    values: Values
    present: Presence


Matrix: TypeAlias = Mapping[LabelSet, Samples]
Result: TypeAlias = Values | Matrix


class Windows(Protocol):
    """Answers a range aggregation for all steps; with a grouping, summed up by it."""

    def __call__(self, aggregation: ast.RangeAggregation, grouping: ast.Grouping | None) -> Matrix: ...


def evaluate(expr: ast.MetricExpr, *, steps: int, windows: Windows) -> Result:
    """A scalar's values, or a matrix."""
    match expr:
        case ast.Literal(value):
            return np.full(steps, value)
        case ast.VectorLiteral(value):
            return {(): everywhere(np.full(steps, value))}
        case ast.RangeAggregation():
            return windows(expr, None)
        case ast.VectorAggregation(_, ast.RangeAggregation() as inner, grouping):
            return windows(inner, grouping or ast.Grouping(()))
        case ast.VectorAggregation(_, inner, grouping):
            return _summed(evaluate(inner, steps=steps, windows=windows), grouping or ast.Grouping(()))
        case ast.BinaryOperation(op, left, right, returns_bool):
            return _binary(
                op,
                evaluate(left, steps=steps, windows=windows),
                evaluate(right, steps=steps, windows=windows),
                returns_bool=returns_bool,
            )
    assert_never(expr)


def group_labels(labels: LabelSet, grouping: ast.Grouping) -> LabelSet:
    """The labels of the group that `labels` falls into."""
    return tuple(pair for pair in labels if (pair[0] in grouping.names) != grouping.is_without)


def _summed(result: Result, grouping: ast.Grouping) -> Matrix:
    if not isinstance(result, Mapping):
        return {(): everywhere(result)}
    sums: dict[LabelSet, Samples] = {}
    for labels, samples in result.items():
        group = group_labels(labels, grouping)
        values = np.where(samples.present, samples.values, 0.0)
        if group in sums:
            sums[group] = Samples(sums[group].values + values, sums[group].present | samples.present)
        else:
            sums[group] = Samples(values, samples.present)
    return sums


def _binary(op: ast.BinaryOp, left: Result, right: Result, *, returns_bool: bool) -> Result:
    if isinstance(left, Mapping):
        if isinstance(right, Mapping):
            return {
                labels: _combined(op, left[labels], right[labels], kept=left[labels], returns_bool=returns_bool)
                for labels in left
                if labels in right
            }
        return {
            labels: _combined(op, samples, everywhere(right), kept=samples, returns_bool=returns_bool)
            for labels, samples in left.items()
        }
    if isinstance(right, Mapping):
        return {
            labels: _combined(op, everywhere(left), samples, kept=samples, returns_bool=returns_bool)
            for labels, samples in right.items()
        }
    return _calculated(op, left, right)


def _combined(op: ast.BinaryOp, left: Samples, right: Samples, *, kept: Samples, returns_bool: bool) -> Samples:
    """Of a comparison that filters, the values of `kept`; else the result."""
    present = left.present & right.present
    values = _calculated(op, left.values, right.values)
    if op in ast.COMPARISONS and not returns_bool:
        return Samples(kept.values, present & (values > 0))
    return Samples(values, present)


def everywhere(values: Values) -> Samples:
    """The series that has a scalar's value at every step."""
    return Samples(values, np.ones(len(values), dtype=np.bool_))


_Arithmetic: TypeAlias = Callable[[Any, Any], Any]

_FUNCTIONS: Mapping[ast.BinaryOp, _Arithmetic] = {
    ast.BinaryOp.ADD: np.add,
    ast.BinaryOp.SUB: np.subtract,
    ast.BinaryOp.MUL: np.multiply,
    # Loki's word for a division by zero, whatever is divided.
    ast.BinaryOp.DIV: lambda left, right: np.where(right == 0, np.nan, np.divide(left, right)),
    ast.BinaryOp.MOD: lambda left, right: np.where(right == 0, np.nan, np.fmod(left, right)),
    ast.BinaryOp.POW: np.power,
    ast.BinaryOp.EQUAL: np.equal,
    ast.BinaryOp.NOT_EQUAL: np.not_equal,
    ast.BinaryOp.GREATER: np.greater,
    ast.BinaryOp.GREATER_OR_EQUAL: np.greater_equal,
    ast.BinaryOp.LESS: np.less,
    ast.BinaryOp.LESS_OR_EQUAL: np.less_equal,
}


def _calculated(op: ast.BinaryOp, left: Values, right: Values) -> Values:
    with np.errstate(all="ignore"):
        return np.asarray(_FUNCTIONS[op](left, right), dtype=np.float64)
