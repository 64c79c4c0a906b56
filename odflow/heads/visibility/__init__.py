"""Visibility: which classes an image shows, each a question by itself.

- `stages/`: what plugs into the command line, a file a stage.
- `settings`: what a training needs to know.
- `inputs`: from a record with boxes to an image and what it shows where, in `tf.data`.
- `network`, `losses`, `architecture`: the network, as `odflow.training` trains it.
- `sameness`: when two graphs tell the same.
- `evaluation`, `scoring`, `curves`: how good it is, during training and afterwards.
"""
