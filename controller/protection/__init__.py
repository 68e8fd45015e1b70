"""The last check before a write: guard, interlocks, doses, hands at the device, stuck readings."""
