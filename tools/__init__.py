"""Programs for a developer's or a control domain's Linux: ordinary Python, no part of the hypervisor."""
