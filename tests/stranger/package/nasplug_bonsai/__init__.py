"""Small networks kept small."""
