"""The ground floor: hooks, records, protocols, errors. Imports nothing of the rest."""
