"""The ledger of a search: its trials, objectives, random streams and storage."""
