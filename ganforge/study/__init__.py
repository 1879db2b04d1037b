"""Comparing to understand: metrics, studies, diagnoses, comparisons and reports. No Keras at the top.

Called, ``ganforge.study("FILE.toml")`` carries a study out: see ``ganforge.commands.study``.
"""
