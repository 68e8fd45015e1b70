"""Batches of the past are read from CSV or Parquet into a store."""
