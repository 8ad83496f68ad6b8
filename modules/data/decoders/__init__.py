"""One decoder per file format, as TensorFlow operations of the transform graph.

Each makes the pixels that Pillow makes of the same file: TensorFlow's own decoders ignore masks, palettes, offsets,
transparency and orientation.
"""
