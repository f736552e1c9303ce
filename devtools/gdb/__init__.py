"""What gdb learns of the hypervisor: Python names, pretty-printed objects, page tables. Runs in gdb's own Python,
without the packages of .venv; `start.py` is what `./dev gdb` has it read.
"""
