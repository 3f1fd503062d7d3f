"""Strategies that make networks smaller."""
