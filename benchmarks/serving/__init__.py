"""Benchmarks of serving: comparison with peers and limits, overload, long lists, and long use with killed processes."""
