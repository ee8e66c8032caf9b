"""LogQL: AST, lexer, parser, printer, checks, planner."""
