"""The experiments of the campaign, its queue, and its records; see `campaign.py`."""
