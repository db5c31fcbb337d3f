"""What others have learned from many pictures, behind the protocols of `protocols.py`. Extra `priors`."""
