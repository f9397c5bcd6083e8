"""Blender's Cycles as a process of its own: only its Python, not ours, imports `bpy` (which is GPL).

The folder is run by path (`python cycles_process OUT`) with a Python that has `bpy`. What it imports is here, in
`bpy`, in numpy or in the standard library; of all this, genego_ros imports `wire` alone.
"""
