"""What is believed of a vessel: soft sensor, gases, laboratory."""
