"""The stress test: how well models answer corrupted test images. The executor calls `measurement.added`."""
