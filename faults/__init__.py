"""Breaks a running installation on purpose, by a seed, under load, and proves from four ledgers that nothing was lost.

Start reading at `campaign`; docs/faults.md says what is broken and what has to hold.
"""
