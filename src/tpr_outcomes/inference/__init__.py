"""What survives a test: thresholds, rivals, checks that can fail, and the decision."""
