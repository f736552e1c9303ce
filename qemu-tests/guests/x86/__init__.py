"""Unikernels for x86: PVH guests in the restricted Python."""
