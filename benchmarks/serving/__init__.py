"""Serving measured: speed beside peers and limits, load beyond capacity, long lists, and long use with kills in it."""
