"""The loader: a unikernel that runs in a new domain before its kernel, and unpacks it there."""
