"""Scenes of simple solids in Blender, and whose each of their pixels is."""
