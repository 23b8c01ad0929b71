"""Manifests: consignments listed in a CSV file, one examination of one item in each line; registered all or none."""
