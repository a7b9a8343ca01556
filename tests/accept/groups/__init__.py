"""One module for each group of figures; each has `run(setting) -> Iterator[Row]`, `ORDER` and, where it is not run by default, `ON_REQUEST`."""
