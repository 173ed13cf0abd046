"""The `tpr` command, a file per kind of question; tpr_outcomes.cli joins them."""
