"""Times and ratios of every stage of the pruner, all of one run: `python -m benchmarks.speed`.

A row module has one function `rows(bench) -> list[Row]`; `__main__.MODULES` names them in their order.
"""
