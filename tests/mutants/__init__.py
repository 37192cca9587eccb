"""Mutants: the code with one small thing wrong. Each must make a test fail, or be known to be harmless.

`make mutants` runs those of all targets, `make mutants ARGS=recovery` those of the files with that in their path.
`targets` says which files are mutated and which tests have to notice, `harmless` which mutants nobody could notice.
"""
