"""Many closed-loop batches: planned, run anywhere, resumed, and turned into tables and a page."""
