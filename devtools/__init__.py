"""What `./dev` does: building, preparing guests, running scenarios, testing. Nothing of it is in the hypervisor."""
