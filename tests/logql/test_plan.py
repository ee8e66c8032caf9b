"""Tree → plan: what goes to the engine."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sillok.logql import ast
from sillok.logql.parser import parse
from sillok.logql.plan import plan_log
from sillok.logql.printer import print_stage
from sillok.sql.render import render
from sillok.sql.statement import Value
from tests.logql import golden_file


def answer(query: str) -> Mapping[str, str]:
    tree = parse(query)
    assert isinstance(tree, ast.LogQuery)
    plan = plan_log(tree)
    params: dict[str, Value] = {}
    sql = render(plan.where, params) if plan.where is not None else "(everything)"
    left = tree.stages[len(tree.stages) - len(plan.residual) :]
    return {
        "sql": sql,
        "params": "\n".join(f"{name} = {value!r}" for name, value in params.items()) or "(none)",
        "residual": "\n".join(print_stage(stage) for stage in left) or "(none)",
    }


@pytest.mark.parametrize("name", ["line_filter"])
def test_stages_become_the_sql_that_is_recorded(name: str, request: pytest.FixtureRequest) -> None:
    golden_file.check(name, answer, request.config)
