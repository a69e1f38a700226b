"""The kinds of job that come with Flawsmith: one module each, with a ``KIND`` that `core.job_kinds` finds."""
