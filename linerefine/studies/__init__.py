"""Studies: tables and figures that are asked for by name, on whatever data.

A `linerefine.hooks.Study` says which variants are compared, by whose rules and
what is shown. `settings` resolves it, `perform` runs it under each protocol,
`page` describes what came out.
"""
