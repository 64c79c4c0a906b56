"""Pose: from annotated joints to an exported model that finds them.

- `stages/`: what plugs into the command line, a file a stage.
- `skeleton`: names, limbs and pairs of joints, read from `skeletons/`.
- `person`: one person as an example of a record.
- `settings`: what a pose training needs to know.
- `inputs`: from examples to crops and heatmaps, in `tf.data`.
- `hourglass`, `losses`, `architecture`: the network, as `odflow.training` trains it.
- `evaluation`: how good predictions are; `graph`, `drawing`: what comes out in the end.
"""
