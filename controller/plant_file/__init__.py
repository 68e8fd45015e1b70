"""The plant file: what each table may say, and the files that it names."""
