"""A kind of job of the tests' own: it counts, and sums what it counted. It shows all that a further kind has to add."""
