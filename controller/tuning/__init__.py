"""Tuning a loop: an experiment, what it says of the process, rules, margins and a prediction.

Everything here is pure. ``experiment`` is fed scan by scan and says what the output should be;
``identify`` makes a process model of what was recorded, or says why it cannot; ``rules`` proposes
a tuning; ``margins`` and ``predict`` say what the model would do with it, sampled as the scan does.
"""
