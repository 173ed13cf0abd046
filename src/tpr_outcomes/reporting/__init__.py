"""What we may say: findings in words, figures, tables and the report."""
