"""The viewers with knobs: one digit, one's own, and many."""
