"""What unikernels share: the devices of the guest physical map, exceptions, calls to the hypervisor."""
