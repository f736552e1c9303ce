"""The loader as a PVH guest: its start information names the kernel's bzImage, and the kernel's will not."""
