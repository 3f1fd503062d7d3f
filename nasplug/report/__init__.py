"""What a search found, for reading: one HTML page with pictures, and networks drawn in the terminal.

Only `nasplug.report.text` works without the extra `report`; nothing here is imported by the core at start.
"""
