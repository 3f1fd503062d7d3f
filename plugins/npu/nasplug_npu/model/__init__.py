"""The analytical model: closed forms on arrays, layers along the last axis and hardware points along the one before."""
