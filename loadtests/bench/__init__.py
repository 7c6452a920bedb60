"""The figures of the design, measured: one module per group of rows, one table."""
