"""Sends training jobs to MLflow and to TensorBoard, in a process of its own that no job waits for."""
