"""Captures with exact truth, rendered from scenes made of numbers: `python -m hyperfocal.synthetic OUT`."""
