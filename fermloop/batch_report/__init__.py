"""The report of one batch: a page in Chinese and English that can be printed."""
