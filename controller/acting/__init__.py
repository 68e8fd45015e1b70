"""What people may ask, who may, what is audited; the command socket."""
