"""Semantic segmentation: a class for each pixel.

- `stages/`: what plugs into the command line, a file a stage.
- `example`: one image and its mask as an example of a record.
- `audit`, `record_check`: what masks hold, and records of no use.
- `settings`: what a training needs to know.
- `placement`, `inputs`: from a record to the network's input, in `tf.data`.
- `losses`, `architecture`, `evaluation`: the network, as `odflow.training` trains it.
- `sameness`: when two graphs find the same masks.
- `finding`, `drawing`: masks of photographs, and how eyes see them.
- `comparison`: how good an exported model's masks are.
"""
