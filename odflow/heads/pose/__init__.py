"""Pose: from annotated joints to an exported model that finds them.

- `stages/`: what plugs into the command line, a file a stage.
- `settings`, `skeleton` (and `skeletons/`): what a training needs to know, and which joints there are.
- `person`, `joint_choice`, `left_out`, `record_check`: people of tables and records, and who is of no use.
- `inputs`, `crops`, `targets`: from a record to a crop and its heatmaps, in `tf.data`.
- `hourglass`, `losses`, `prediction`, `architecture`: the network, as `odflow.training` trains it.
- `sameness`: when two graphs find the same joints.
- `people`, `cutting`, `detection`, `drawing`: finding joints in photographs.
- `evaluation`, `measures`, `curves`: how good what is found is, during training and afterwards.
"""
