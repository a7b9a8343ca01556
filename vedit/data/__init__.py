"""Data sets of clips for training: cut from videos, checked, or drawn by a procedural world. Training reads them by `stylegan_v.data`."""
