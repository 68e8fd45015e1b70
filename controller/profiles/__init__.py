"""Device profiles: where the signals of a model of device live."""
