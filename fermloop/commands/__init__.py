"""One file a sub-command, imported when it is used."""
