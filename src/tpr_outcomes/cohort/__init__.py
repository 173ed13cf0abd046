"""What happened to whom: reading, checking, deriving from and describing a clinic's record.

Modules import each other one way: ``scales <- sources <- cells <- problems <- file_rules, value_rules <-
rules``, with ``columns`` beside them, then ``checking <- visits <- derive <- describe``.
"""
