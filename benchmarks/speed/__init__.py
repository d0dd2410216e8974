"""Times and ratios of every stage of the pruner, all of one run: `python -m benchmarks.speed`.

A measurement is a module in `measures/` with a function `rows(bench) -> list[Row]`, entered in `measures.measures`; a
ratio with a target is an entry of `targets`.
"""
