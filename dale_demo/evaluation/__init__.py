"""Measure generated and restored images: distances, recognition, comparisons, reports."""
