"""Showing things in a browser of this machine."""
