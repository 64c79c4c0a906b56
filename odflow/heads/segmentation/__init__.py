"""Semantic segmentation: a class for each pixel.

- `stages/`: what plugs into the command line, a file a stage.
- `example`: one image and its mask as an example of a record.
- `audit`: what masks hold.
"""
