"""Whether generated images help a classifier: subsets of photographs, arms of an experiment, classifiers, scores."""
