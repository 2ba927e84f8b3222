"""What runs of the program cost: `python -m tests.bench` reports times, `test_counts.py` holds the counts."""
