"""Tokens → tree: recursive descent for logs and functions, precedence climbing for operators.

Loki's parser is an LALR automaton; this one says the same about the same wrong text, down to the list of
what was expected (named when there are at most four possibilities). What LogQL has and this version does
not is refused by name.

Source: Loki pkg/logql/syntax/syntax.y
"""

from __future__ import annotations

import math
import re
from typing import NoReturn

from sillok.errors import BadRequest, QuerySyntaxError
from sillok.logql import ast
from sillok.logql.lexer import Kind, Lexer, Token, syntax_error
from sillok.model.labels import is_label_name
from sillok.model.matcher import Matcher, MatchOp
from sillok.text.regex import compile_regex

MAX_QUERY_CHARACTERS = 128 * 1024  # Loki's `maxInputSize`
MAX_DEPTH = 100  # of parentheses; nobody writes more, and the stack has an end
MAX_OPERATORS = 200  # each makes the tree one deeper; same

_MATCH_OPS = {
    Kind.EQ: MatchOp.EQUAL,
    Kind.NEQ: MatchOp.NOT_EQUAL,
    Kind.RE: MatchOp.MATCHES,
    Kind.NRE: MatchOp.NOT_MATCHES,
}
_LINE_OPS = {
    Kind.PIPE_EXACT: ast.LineOp.CONTAINS,
    Kind.NEQ: ast.LineOp.LACKS,
    Kind.PIPE_MATCH: ast.LineOp.MATCHES,
    Kind.NRE: ast.LineOp.MATCHES_NOT,
}
_PATTERN_OPS = (Kind.PIPE_PATTERN, Kind.NPA)
_RANGE_OPS = {
    Kind.COUNT_OVER_TIME: ast.RangeOp.COUNT,
    Kind.RATE: ast.RangeOp.RATE,
    Kind.BYTES_OVER_TIME: ast.RangeOp.BYTES,
    Kind.BYTES_RATE: ast.RangeOp.BYTES_RATE,
}
_VECTOR_OPS = {Kind.SUM: ast.VectorOp.SUM}
_BINARY_OPS = {
    Kind.CMP_EQ: ast.BinaryOp.EQUAL,
    Kind.NEQ: ast.BinaryOp.NOT_EQUAL,
    Kind.LT: ast.BinaryOp.LESS,
    Kind.LTE: ast.BinaryOp.LESS_OR_EQUAL,
    Kind.GT: ast.BinaryOp.GREATER,
    Kind.GTE: ast.BinaryOp.GREATER_OR_EQUAL,
    Kind.ADD: ast.BinaryOp.ADD,
    Kind.SUB: ast.BinaryOp.SUB,
    Kind.MUL: ast.BinaryOp.MUL,
    Kind.DIV: ast.BinaryOp.DIV,
    Kind.MOD: ast.BinaryOp.MOD,
    Kind.POW: ast.BinaryOp.POW,
}
_PRECEDENCE = {
    Kind.OR: 1,
    Kind.AND: 2,
    Kind.UNLESS: 2,
    **dict.fromkeys((Kind.CMP_EQ, Kind.NEQ, Kind.LT, Kind.LTE, Kind.GT, Kind.GTE), 3),
    **dict.fromkeys((Kind.ADD, Kind.SUB), 4),
    **dict.fromkeys((Kind.MUL, Kind.DIV, Kind.MOD), 5),
    Kind.POW: 6,
}
# What LogQL has and this version has not.
_RANGE_FUNCTIONS_TO_COME = (
    Kind.RATE_COUNTER,
    Kind.AVG_OVER_TIME,
    Kind.SUM_OVER_TIME,
    Kind.MIN_OVER_TIME,
    Kind.MAX_OVER_TIME,
    Kind.STDVAR_OVER_TIME,
    Kind.STDDEV_OVER_TIME,
    Kind.QUANTILE_OVER_TIME,
    Kind.FIRST_OVER_TIME,
    Kind.LAST_OVER_TIME,
    Kind.ABSENT_OVER_TIME,
)
_AGGREGATIONS_TO_COME = (
    Kind.AVG,
    Kind.MAX,
    Kind.MIN,
    Kind.COUNT,
    Kind.STDDEV,
    Kind.STDVAR,
    Kind.BOTTOMK,
    Kind.TOPK,
    Kind.APPROX_TOPK,
    Kind.SORT,
    Kind.SORT_DESC,
)
_FUNCTIONS_TO_COME = (*_RANGE_FUNCTIONS_TO_COME, *_AGGREGATIONS_TO_COME, Kind.LABEL_REPLACE, Kind.VARIANTS)
_STAGES_TO_COME = (
    Kind.JSON,
    Kind.XML,
    Kind.REGEXP,
    Kind.LOGFMT,
    Kind.UNPACK,
    Kind.PATTERN,
    Kind.LINE_FORMAT,
    Kind.LABEL_FORMAT,
    Kind.UNWRAP,
    Kind.DECOLORIZE,
    Kind.DROP,
    Kind.KEEP,
)
_FILTER_SIGNS = (
    Kind.EQ,
    Kind.CMP_EQ,
    Kind.NEQ,
    Kind.RE,
    Kind.NRE,
    Kind.LT,
    Kind.LTE,
    Kind.GT,
    Kind.GTE,
)
_FLOAT = re.compile(r"(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?\Z")


def parse(text: str) -> ast.Expr:
    """The tree of a query.

    Raises:
        QuerySyntaxError: the text is no LogQL, or uses what this version does not support.
    """
    if len(text) >= MAX_QUERY_CHARACTERS:
        raise syntax_error(f"input size too long ({len(text)} > {MAX_QUERY_CHARACTERS})")
    return _Parser(text).whole()


def parse_selector(text: str) -> ast.Selector:
    """`{…}` and nothing else: what `match[]` and the index endpoints take."""
    tree = parse(text)
    if not isinstance(tree, ast.LogQuery) or tree.stages:
        raise BadRequest("only label matchers are supported")
    return tree.selector


class _Parser:
    def __init__(self, text: str) -> None:
        self._lexer = Lexer(text)
        self._ahead: Token | None = None
        self._depth = 0
        self._operators = 0
        # What the grammar allows and LogQL does not: said when the rest of the text has proved to be in order.
        self._complaint: QuerySyntaxError | None = None

    def whole(self) -> ast.Expr:
        tree = self._expr()
        if self._peek().kind is not Kind.END:
            self._unexpected()
        if self._complaint is not None:
            raise self._complaint
        return tree

    # Expressions.

    def _expr(self, least: int = 0) -> ast.Expr:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise syntax_error(f"the query is nested more than {MAX_DEPTH} deep")
        left = self._operand()
        while _PRECEDENCE.get(self._peek().kind, -1) >= max(least, 1):
            left = self._operation(left)
        self._depth -= 1
        return left

    def _operation(self, left: ast.Expr) -> ast.Expr:
        sign = self._next()
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise syntax_error(f"the query has more than {MAX_OPERATORS} operators")
        if sign.kind not in _BINARY_OPS:
            raise _not_supported(sign, f"the operator `{sign.value}`")
        op = _BINARY_OPS[sign.kind]
        returns_bool = self._take(Kind.BOOL) is not None
        if self._peek().kind in (Kind.ON, Kind.IGNORING):
            raise _not_supported(self._peek(), f"`{self._peek().value}` in vector matching")
        # Only `^` leans to the right.
        right = self._expr(_PRECEDENCE[sign.kind] + (sign.kind is not Kind.POW))
        return ast.BinaryOperation(op, self._leg("left", op, left), self._leg("right", op, right), returns_bool)

    def _leg(self, side: str, op: ast.BinaryOp, leg: ast.Expr) -> ast.MetricExpr:
        if isinstance(leg, ast.LogQuery):
            kind = "*syntax.PipelineExpr" if leg.stages else "*syntax.MatchersExpr"
            self._complain(f"unexpected type for {side} leg of binary operation ({op}): {kind}")
            return ast.Literal(0.0)  # the complaint is what comes out
        return leg

    def _operand(self) -> ast.Expr:
        token = self._peek()
        match token.kind:
            case Kind.OPEN_BRACE:
                return self._log_query()
            case Kind.OPEN_PAREN:
                return self._parenthesised()
            case Kind.NUMBER | Kind.ADD | Kind.SUB:
                return self._literal()
            case Kind.VECTOR:
                return self._vector()
            case kind if kind in _RANGE_OPS:
                return self._range_aggregation()
            case kind if kind in _VECTOR_OPS:
                return self._vector_aggregation()
            case kind if kind in _FUNCTIONS_TO_COME:
                raise _not_supported(token, f"`{token.value}`")
        return self._unexpected()

    def _parenthesised(self) -> ast.Expr:
        self._next()
        inner = self._expr()
        self._expect(Kind.CLOSE_PAREN, names=False)
        return inner

    def _literal(self) -> ast.Literal:
        sign = -1.0 if self._take(Kind.SUB) else 1.0
        if sign > 0:
            self._take(Kind.ADD)
        return ast.Literal(sign * _number(self._expect(Kind.NUMBER)))

    def _vector(self) -> ast.VectorLiteral:
        self._next()
        self._expect(Kind.OPEN_PAREN)
        value = _number(self._expect(Kind.NUMBER))
        self._expect(Kind.CLOSE_PAREN)
        return ast.VectorLiteral(value)

    # Functions over logs and vectors.

    def _range_aggregation(self) -> ast.RangeAggregation:
        op = _RANGE_OPS[self._next().kind]
        self._expect(Kind.OPEN_PAREN)
        number = self._take(Kind.NUMBER)
        if number is not None:
            self._expect(Kind.COMMA)
        elif self._peek().kind not in (Kind.OPEN_BRACE, Kind.OPEN_PAREN):
            self._unexpected(Kind.NUMBER, Kind.OPEN_BRACE, Kind.OPEN_PAREN)
        log_range = self._log_range()
        self._expect(Kind.CLOSE_PAREN)
        if self._grouping() is not None:
            self._complain(f"grouping not allowed for {op} aggregation")
        if number is not None:
            self._complain(f"parameter {number.value} not supported for operation {op}")
        return ast.RangeAggregation(op, log_range)

    def _log_range(self) -> ast.LogRange:
        if self._peek().kind is Kind.OPEN_PAREN:
            return self._parenthesised_range()
        return self._rest_of_range(self._selector_of_range())

    def _parenthesised_range(self) -> ast.LogRange:
        """`({…} |= "x" [5m])`, or `({…} |= "x") [5m]`."""
        self._next()
        if self._peek().kind is Kind.OPEN_PAREN:
            inner = self._parenthesised_range()
            self._expect(Kind.CLOSE_PAREN)
            return inner
        query = self._selector_of_range()
        if self._take(Kind.CLOSE_PAREN):
            return self._rest_of_range(query, is_parenthesised=True)
        inner = self._rest_of_range(query)
        self._expect(Kind.CLOSE_PAREN)
        return inner

    def _selector_of_range(self) -> ast.LogQuery:
        if self._peek().kind is not Kind.OPEN_BRACE:
            self._unexpected(Kind.OPEN_BRACE, Kind.OPEN_PAREN)
        return self._log_query()

    def _rest_of_range(self, query: ast.LogQuery, *, is_parenthesised: bool = False) -> ast.LogRange:
        found = self._expect(Kind.RANGE, names=is_parenthesised)
        assert isinstance(found.value, int)
        offset_ns = 0
        if self._take(Kind.OFFSET):
            value = self._expect(Kind.DURATION).value
            assert isinstance(value, int)
            offset_ns = value
        # Loki lets stages stand behind the range as well, unless there are some before it.
        stages = query.stages or self._stages()
        return ast.LogRange(ast.LogQuery(query.selector, stages), found.value, offset_ns)

    def _vector_aggregation(self) -> ast.VectorAggregation:
        op = _VECTOR_OPS[self._next().kind]
        grouping = self._grouping()
        self._expect(Kind.OPEN_PAREN)
        number = self._peek() if self._peek().kind is Kind.NUMBER else None
        inner = self._metric()
        if number is not None and isinstance(inner, ast.Literal) and self._take(Kind.COMMA):
            self._complain(f"unsupported parameter for operation {op}({number.value},")
            inner = self._metric()
        self._expect(Kind.CLOSE_PAREN, names=False)
        if grouping is None:
            grouping = self._grouping()
        return ast.VectorAggregation(op, inner, grouping)

    def _metric(self) -> ast.MetricExpr:
        inner = self._expr()
        if isinstance(inner, ast.LogQuery):
            self._unexpected()
        return inner

    def _grouping(self) -> ast.Grouping | None:
        by = self._take(Kind.BY) or self._take(Kind.WITHOUT)
        if by is None:
            return None
        self._expect(Kind.OPEN_PAREN)
        return ast.Grouping(self._names(), by.kind is Kind.WITHOUT)

    def _names(self) -> tuple[str, ...]:
        """`a, b)`, the opening parenthesis already taken."""
        if self._take(Kind.CLOSE_PAREN):
            return ()
        names = [self._expect(Kind.IDENTIFIER, Kind.CLOSE_PAREN)]
        while self._take(Kind.COMMA):
            names.append(self._expect(Kind.IDENTIFIER))
        self._expect(Kind.CLOSE_PAREN, Kind.COMMA)
        return tuple(str(name.value) for name in names)

    # Logs.

    def _log_query(self) -> ast.LogQuery:
        return ast.LogQuery(self._selector(), self._stages())

    def _selector(self) -> ast.Selector:
        self._expect(Kind.OPEN_BRACE)
        if self._take(Kind.CLOSE_BRACE):
            return ast.Selector(())
        matchers = [self._matcher(Kind.CLOSE_BRACE)]
        while self._take(Kind.COMMA):
            matchers.append(self._matcher())
        self._expect(Kind.CLOSE_BRACE, Kind.COMMA)
        return ast.Selector(tuple(matchers))

    def _matcher(self, *or_else: Kind) -> Matcher:
        name = self._expect(Kind.IDENTIFIER, *or_else)
        if not is_label_name(str(name.value)):
            self._complain(f"`{name.value}` cannot be the name of a label")
        sign = self._next()
        if sign.kind not in _MATCH_OPS:
            self._unexpected(*_MATCH_OPS, token=sign)
        matcher = Matcher(str(name.value), _MATCH_OPS[sign.kind], str(self._expect(Kind.STRING).value))
        if matcher.op in (MatchOp.MATCHES, MatchOp.NOT_MATCHES):
            _check_regex(matcher.value)
        return matcher

    def _stages(self) -> tuple[ast.Stage, ...]:
        stages: list[ast.Stage] = []
        while True:
            kind = self._peek().kind
            if kind in _LINE_OPS:
                stages.append(self._line_filter())
            elif kind in _PATTERN_OPS:
                raise _not_supported(self._peek(), f"the pattern filter `{kind.value}`")
            elif kind is Kind.PIPE:
                self._stage_to_come()
            else:
                return tuple(stages)

    def _line_filter(self) -> ast.LineFilter:
        op = _LINE_OPS[self._next().kind]
        texts = [self._needle()]
        while self._take(Kind.OR):
            texts.append(self._needle())
        return ast.LineFilter(op, tuple(texts))

    def _needle(self) -> str:
        if self._peek().kind is Kind.IP:
            raise _not_supported(self._peek(), "the filter `ip(…)`")
        return str(self._expect(Kind.STRING, Kind.IP).value)

    def _stage_to_come(self) -> NoReturn:
        pipe = self._next()
        token = self._next()
        if token.kind in _STAGES_TO_COME:
            raise _not_supported(pipe, f"the stage `| {token.value}`")
        if token.kind is Kind.OPEN_PAREN:
            raise _not_supported(pipe, "a filter by labels")
        if token.kind is Kind.IDENTIFIER:
            if self._peek().kind not in _FILTER_SIGNS:
                self._unexpected()
            raise _not_supported(pipe, f"a filter by labels (`| {token.value} {self._peek().value} …`)")
        self._unexpected(token=token)

    # Tokens.

    def _complain(self, message: str) -> None:
        self._complaint = self._complaint or syntax_error(message)

    def _peek(self) -> Token:
        if self._ahead is None:
            self._ahead = self._lexer.next()
        return self._ahead

    def _next(self) -> Token:
        token, self._ahead = self._peek(), None
        return token

    def _take(self, kind: Kind) -> Token | None:
        return self._next() if self._peek().kind is kind else None

    def _expect(self, kind: Kind, *or_else: Kind, names: bool = True) -> Token:
        """The next token, of this kind. `or_else`: what could have stood there too, to say it."""
        if self._peek().kind is not kind:
            self._unexpected(*((kind, *or_else) if names else ()))
        return self._next()

    def _unexpected(self, *expected: Kind, token: Token | None = None) -> NoReturn:
        found = token or self._peek()
        order = list(Kind)
        names = " or ".join(kind.value for kind in sorted(expected, key=order.index))
        said = f"syntax error: unexpected {found.kind.value}" + (f", expecting {names}" if names else "")
        raise syntax_error(said, offset=found.offset, line=found.line, column=found.column)


def _number(token: Token) -> float:
    spelled = str(token.value)
    if not _FLOAT.match(spelled):
        raise _no_float(spelled, "invalid syntax")
    value = float(spelled.replace("_", ""))
    if math.isinf(value):
        raise _no_float(spelled, "value out of range")
    return value


def _no_float(spelled: str, why: str) -> QuerySyntaxError:
    return syntax_error(f'unable to parse literal as a float: strconv.ParseFloat: parsing "{spelled}": {why}')


def _check_regex(text: str) -> None:
    try:
        compile_regex(text, is_anchored=True)
    except BadRequest as error:
        raise syntax_error(str(error)) from None


def _not_supported(token: Token, what: str) -> QuerySyntaxError:
    # A token whose line Loki forgets has one all the same when the text is ours.
    return syntax_error(f"{what} is not supported yet", offset=token.offset, line=token.line or 1, column=token.column)
