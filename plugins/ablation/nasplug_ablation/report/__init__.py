"""What a study has found: differences with intervals, verdicts, tables and a picture."""
