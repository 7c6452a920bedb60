"""HTTP: what applicants and operators speak with."""
