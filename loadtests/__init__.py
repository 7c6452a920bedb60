"""The crowd: virtual applicants, the run that sends them, and the verdict on what became of them."""
