"""Training by the paper's rule (section 3.3), resumable at any moment."""
