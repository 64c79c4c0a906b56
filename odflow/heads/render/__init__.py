"""Render: labelled pictures of made-up scenes, from Blender.

- `stages/`: what plugs into the command line.
- `recipe`: what one scene holds, drawn from the seed and the picture's number; pure Python.
- `figure`: the articulated figure, joints and capsules; NumPy only.
- `pool`: child processes, each with a Blender of its own, that are handed numbers of pictures.
- `scene_process`: such a child. `models`, `scene`, `sight` are what it does with Blender: load
  meshes, set the scene and let it fall, and see which object each pixel shows.
- `labels`: from what the pixels show to boxes, mask and joints; NumPy only. `tables`: all of it.
"""
