"""What x86 unikernels share: calls to the hypervisor, text, single instructions."""
