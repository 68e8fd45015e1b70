"""Devices as the scan sees them, whoever made their driver."""
