"""Decompressors for kernels: xz, gzip, zstd, lz4. Each reads a view of memory and writes a window of it, and whatever
the packed bytes are, touches nothing else.
"""
