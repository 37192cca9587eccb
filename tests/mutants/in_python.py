"""What is mutated in Python: comparisons, `and`, `or`, `not`, returned constants, conditions left out, handlers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from tests.mutants.mutant import Mutant

INSTEAD: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.In: ("in", ("not in",)),
    ast.NotIn: (r"not\s+in", ("in",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: (r"is\s+not", ("is",)),
}

_LOOSE = ast.BoolOp | ast.IfExp | ast.NamedExpr | ast.Lambda | ast.Yield | ast.YieldFrom  # bind less than `and`


def mutants_of(path: str, source: str) -> list[Mutant]:
    """The mutants of one module, in the order of their places."""
    module = _Module(path, source)
    found = [mutant for node in ast.walk(ast.parse(source)) for mutant in module.mutants_at(node)]
    return sorted(found, key=lambda mutant: mutant.start)


class _Module:
    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self._lines = [f"{line}\n" for line in source.split("\n")]
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def mutants_at(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare():
                yield from self._other_operators(node)
                yield from self._without_a_part(node)
            case ast.BoolOp():
                yield from self._and_for_or(node)
                joint = " and " if isinstance(node.op, ast.And) else " or "
                yield from self._without_each(node.values, joint, self._start(node), self._end(node))
            case ast.Call(func=ast.Attribute(attr="where"), args=[_, *_]):
                yield from self._without_each(node.args, ", ", self._start(node.args[0]), self._end(node.args[-1]))
            case ast.UnaryOp(op=ast.Not()):
                yield self._mutant(self._start(node), self._end(node), self._operand(node.operand))
            case ast.Return(value=ast.Constant(value=bool() as value) as constant):
                yield self._mutant(self._start(constant), self._end(constant), str(not value))
            case ast.ExceptHandler():
                yield self._mutant(self._start(node.body[0]), self._end(node.body[-1]), "raise")

    def _other_operators(self, node: ast.Compare) -> Iterator[Mutant]:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            written, others = INSTEAD[type(operator)]
            for other in others:
                yield self._between(left, right, written, other)

    def _and_for_or(self, node: ast.BoolOp) -> Iterator[Mutant]:
        written, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield self._between(left, right, rf"\b{written}\b", other)

    def _without_each(self, conditions: Sequence[ast.expr], joint: str, start: int, end: int) -> Iterator[Mutant]:
        """Each condition of those from `start` to `end` left out; `joint` stands between those that stay."""
        for left_out in conditions:
            kept = [self._operand(condition) for condition in conditions if condition is not left_out]
            yield self._mutant(start, end, joint.join(kept))

    def _without_a_part(self, node: ast.Compare) -> Iterator[Mutant]:
        """Of (a, b) == (c, d): a == c left out, then b == d."""
        match node:
            case ast.Compare(left=ast.Tuple(elts=left), comparators=[ast.Tuple(elts=right)]) if len(left) == len(right):
                for i in range(len(left)):
                    sides = [self._tuple_without(side, i) for side in (left, right)]
                    operator = INSTEAD[type(node.ops[0])][0]
                    yield self._mutant(self._start(node), self._end(node), f"{sides[0]} {operator} {sides[1]}")

    def _tuple_without(self, parts: Sequence[ast.expr], left_out: int) -> str:
        kept = [self._text(part) for i, part in enumerate(parts) if i != left_out]
        return f"({', '.join(kept)},)"

    def _between(self, left: ast.expr, right: ast.expr, written: str, other: str) -> Mutant:
        start, end = self._end(left), self._start(right)
        replaced = re.sub(written, other, self.source[start:end], count=1)
        return self._mutant(start, end, replaced)

    def _mutant(self, start: int, end: int, replacement: str) -> Mutant:
        return Mutant(self.path, self.source, start, end, replacement)

    def _operand(self, node: ast.expr) -> str:
        """The text of a condition, in the parentheses that its place may have given it."""
        text = self._text(node)
        return f"({text})" if isinstance(node, _LOOSE) else text

    def _text(self, node: ast.expr) -> str:
        return self.source[self._start(node) : self._end(node)]

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._offset(node.lineno, node.col_offset)

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        """`column` counts bytes of UTF-8."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)
