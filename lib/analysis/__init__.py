"""Networks compared on the same noisy images, and the paper's claims with the rule that judges them."""
