"""Trains a GAN on a few photographs of defects and serves synthetic ones over HTTP."""
